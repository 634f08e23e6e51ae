"""What improves the policy: the table of learners, a file each."""

from transreward.learners.bc import BC
from transreward.learners.iql import IQL
from transreward.learners.learner import Learner
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC
from transreward.learners.td3_bc import TD3BC

LEARNERS: dict[str, type[Learner]] = {"sac": SAC, "ppo": PPO, "iql": IQL, "td3_bc": TD3BC, "bc": BC}

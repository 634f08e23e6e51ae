"""What improves the policy: the table of learners, a file each."""

from transreward.learners.learner import Learner
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC

LEARNERS: dict[str, type[Learner]] = {"sac": SAC, "ppo": PPO}

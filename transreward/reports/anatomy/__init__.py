"""The compensation on the robot's body: which joints it pays or charges for, and in which part of the gait."""

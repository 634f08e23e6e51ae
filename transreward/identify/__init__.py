"""What differs physically between a simulator and a robot, read off steps that the robot took."""

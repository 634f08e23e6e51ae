"""Text that goes out beside an exported policy; none of it needs TransReward."""

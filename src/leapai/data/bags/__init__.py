"""ROS 2 bags and MCAP files as a source of frames."""

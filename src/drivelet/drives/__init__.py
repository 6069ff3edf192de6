"""Reading the real world: videos, folders of images and their sensor logs, into the drive tables."""

"""The ground that a scene is built on: the shape of a road, its surface and junctions, and what stands along it."""

"""What stands on and beside a road: signals, signs, cones, closures, people, and trucks that hide them."""

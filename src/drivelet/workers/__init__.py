# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run in Blender's own environment, started by path; nothing in Drivelet imports them."""

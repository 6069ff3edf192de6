"""The text-to-image loop: captions, candidates, judges, and what they reject and why."""

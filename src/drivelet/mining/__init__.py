"""Finding the frames worth a look: embeddings, search, hard cases, and selection under a budget."""

"""What the exercises' checks compare with, a file a lesson: the answers are here, so that no cell shows them."""

"""The connections of one worker to one host."""

"""Rewards: weighted signals, penalties that discount, and whether both fit a signature."""

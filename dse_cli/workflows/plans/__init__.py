"""What a compile will cost, before anything is spent: bounds, a rehearsal, the words for it."""

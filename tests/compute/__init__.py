"""The kernel's dispatch replayed over int8 data: its sums, and what moved for them."""

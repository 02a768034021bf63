# expect: RAISED ValueError
raise ValueError("x" * 50_000_000)

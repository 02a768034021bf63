# expect: SUCCEEDED
import builtins, sys
for name in list(vars(builtins)):
    if not name.startswith("__"):
        try:
            setattr(builtins, name, None)
        except Exception:
            pass

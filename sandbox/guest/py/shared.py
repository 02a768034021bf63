"""The classes for memory that interpreters and processes of a sandbox share: shared/shared_types.h.

The loader adds to this namespace: `shared_class`.
"""

SharedBuffer = shared_class("SharedBuffer")
Lock = shared_class("Lock")
Condition = shared_class("Condition")
Semaphore = shared_class("Semaphore")
Movable = shared_class("Movable")

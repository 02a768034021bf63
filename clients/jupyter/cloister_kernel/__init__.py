"""A Jupyter kernel whose cells run in a sandbox of a Cloister server.

    python3 -m cloister_kernel install --user      # then choose "Python (Cloister)" in any front end

The process that Jupyter starts speaks Jupyter's protocol and runs none of the user's code; all of it runs in one live
sandbox, which ends with the kernel. It stands on pyzmq alone and not on ipykernel, whose imports take several times as long
as all of a start here.
"""

__version__ = "0.1.0"

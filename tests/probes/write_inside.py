# expect: SUCCEEDED
# stdout: ok
import os
for path in ("/workspace/a/b", "/tmp/a/b"):
    os.makedirs(os.path.dirname(path))
    with open(path, "w") as file:
        file.write("x")
    os.rename(path, path + "2")
    os.symlink("b2", path)
    assert open(path).read() == "x"
    os.unlink(path)
print("ok")

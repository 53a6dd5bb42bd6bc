"""What every test tree here may use."""

import agora  # noqa: F401 - the package, before pytest takes the folder of that name for it

pytest_plugins = ["tricorn.data.testing"]

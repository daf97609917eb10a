"""Pictures of geometries, by matplotlib."""
def plot(self):
    raise NotImplementedError

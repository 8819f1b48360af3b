"""Language models behind one protocol: scripted, recorded, hosted behind an endpoint, local."""

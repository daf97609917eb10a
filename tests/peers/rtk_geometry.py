"""Reads a geometry XML with RTK, which checks the matrices in it, and writes it again with RTK's own.

usage: rtk_geometry.py IN.xml OUT.xml
Exit status 77: the wheel itk-rtk is not installed.
"""

import sys

try:
    from itk import RTK as rtk
except ImportError:
    sys.exit(77)

reader = rtk.ThreeDCircularProjectionGeometryXMLFileReader.New()
reader.SetFilename(sys.argv[1])
reader.GenerateOutputInformation()
rtk.write_geometry(reader.GetOutputObject(), sys.argv[2])

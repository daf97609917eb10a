"""Cone-beam reconstruction, side by side with RTK's CPU FDK (wheel itk-rtk), from the same files in the same run.

Both read uncompressed projections and RTK's geometry XML and write an uncompressed volume; both use the same number of
threads; repetitions alternate. Kiban is timed as a whole process; RTK inside a process that has already imported it (the
import is reported), from opening the files to the volume written. Both volumes are compared with the phantom that RTK
draws, over the voxels that every view sees.
"""

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

# Shepp-Logan's outermost ellipsoid has half axes 0.69, 0.92 and 0.9 of this.
PHANTOM_SCALE_MM = 128.0


def read_mha(path):
    """The values of an uncompressed 3-D float MetaImage."""
    with open(path, "rb") as file:
        header = {}
        while "ElementDataFile" not in header:
            key, _, value = file.readline().decode().partition("=")
            header[key.strip()] = value.strip()
        shape = [int(size) for size in header["DimSize"].split()][::-1]
        return np.frombuffer(file.read(), dtype="<f4").reshape(shape)


def rtk_worker(pipe, threads):
    """Serves requests (function, arguments) in a process of its own, which imports RTK once."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    start = time.perf_counter()
    import itk
    from itk import RTK as rtk

    image = itk.Image[itk.F, 3]
    rtk.FDKConeBeamReconstructionFilter[image]  # itk loads lazily: the import ends when the class is there
    pipe.send({"seconds": time.perf_counter() - start, "threads": itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads()})

    def grid(size, spacing):
        source = rtk.ConstantImageSource[image].New()
        source.SetOrigin([-0.5 * (size - 1) * spacing] * 3)
        source.SetSpacing([spacing] * 3)
        source.SetSize([size] * 3)
        return source

    def reconstruct(projections, geometry, size, spacing, volume):
        start = time.perf_counter()
        xml = rtk.ThreeDCircularProjectionGeometryXMLFileReader.New()
        xml.SetFilename(str(geometry))
        xml.GenerateOutputInformation()
        reader = itk.ImageFileReader[image].New()
        reader.SetFileName(str(projections))
        fdk = rtk.FDKConeBeamReconstructionFilter[image].New()
        empty = grid(size, spacing)  # named: an output does not keep its filter alive
        fdk.SetInput(0, empty.GetOutput())
        fdk.SetInput(1, reader.GetOutput())
        fdk.SetGeometry(xml.GetOutputObject())
        fdk.GetRampFilter().SetTruncationCorrection(0)
        fdk.GetRampFilter().SetHannCutFrequency(0)
        writer = itk.ImageFileWriter[image].New()
        writer.SetFileName(str(volume))
        writer.SetInput(fdk.GetOutput())
        writer.Update()
        return time.perf_counter() - start

    def draw(size, spacing, volume):
        empty = grid(size, spacing)
        phantom = rtk.DrawSheppLoganFilter[image, image].New()
        phantom.SetInput(empty.GetOutput())
        phantom.SetPhantomScale(PHANTOM_SCALE_MM)
        itk.imwrite(phantom.GetOutput(), str(volume))

    work = {"reconstruct": reconstruct, "draw": draw}
    for name, arguments in iter(pipe.recv, None):
        pipe.send(work[name](*arguments))


class Rtk:
    def __init__(self, threads):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=rtk_worker, args=(theirs, threads), daemon=True)
        self.process.start()
        theirs.close()  # so that a worker that died is an EOFError here, not a silence
        self.imported = self.pipe.recv()

    def __call__(self, name, *arguments):
        self.pipe.send((name, arguments))
        return self.pipe.recv()

    def close(self):
        self.pipe.send(None)
        self.process.join()


def kiban_run(kiban, operation, threads, **options):
    """Whole-process wall time of `kiban run`, and what it said of itself."""
    command = [str(kiban), "run", operation, "--json", "--threads", str(threads)]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, report = time.perf_counter() - start, json.loads(done.stdout)
    del report["outputs"]  # temporary files
    return seconds, report


def seen_by_every_view(size, spacing, sid, sdd, half_width, half_height):
    """Voxels within the cylinder and the cones' common height, a pixel or two inside the panel's edge."""
    at = (np.arange(size) - 0.5 * (size - 1)) * spacing
    y, z, x = at[None, :, None], at[:, None, None], at[None, None, :]
    radius = np.sqrt(x * x + z * z)
    inside = radius < sid * np.sin(np.arctan(half_width / sdd)) * 0.99
    return inside & (np.abs(y) < half_height / sdd * (sid - radius) * 0.99)


def errors(volume, phantom, mask):
    difference = volume[mask].astype(np.float64) - phantom[mask]
    return {"rmse": float(np.sqrt(np.mean(difference**2))), "mean_absolute": float(np.mean(np.abs(difference)))}


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())


def measure(arguments, folder):
    size, views, pixels, threads = arguments.size, arguments.views, arguments.detector, arguments.threads
    sid, sdd, spacing, pixel = 1000.0, 1536.0, 256.0 / size, 0.85 * 512 / pixels
    projections, geometry = folder / "p.mha", folder / "g.xml"
    kiban_run(arguments.kiban, "ct.simulate", threads, phantom="shepp-logan", scale_mm=PHANTOM_SCALE_MM, density=1,
              views=views, columns=pixels, pixel_mm=pixel, sid_mm=sid, sdd_mm=sdd, projections=projections,
              geometry=geometry)
    rtk = Rtk(threads)
    assert rtk.imported["threads"] == threads, "RTK took another number of threads"
    seconds, report = {"kiban": [], "rtk": []}, {}
    for repetition in range(arguments.repetitions):
        took, report = kiban_run(arguments.kiban, "ct.fdk", threads, projections=projections, geometry=geometry,
                                 size=size, spacing_mm=spacing, volume=folder / "kiban.mha")
        seconds["kiban"].append(took)
        seconds["rtk"].append(rtk("reconstruct", projections, geometry, size, spacing, folder / "rtk.mha"))
        print(f"  repetition {repetition + 1}: kiban {seconds['kiban'][-1]:.2f} s, RTK {seconds['rtk'][-1]:.2f} s", flush=True)

    rtk("draw", size, spacing, folder / "phantom.mha")
    rtk.close()
    phantom, ours, theirs = (read_mha(folder / f"{name}.mha") for name in ("phantom", "kiban", "rtk"))
    mask = seen_by_every_view(size, spacing, sid, sdd, 0.5 * (pixels - 1) * pixel, 0.5 * (pixels - 1) * pixel)
    scale = np.linalg.norm(theirs[mask].astype(np.float64))
    return {
        "benchmark": "peers/ct", "date": date.today().isoformat(), "processor": processor(), "threads": threads,
        "volume": size, "views": views, "detector": pixels,
        "kiban": {"seconds": seconds["kiban"], **errors(ours, phantom, mask), "report": report},
        "rtk": {"seconds": seconds["rtk"], "import_seconds": rtk.imported["seconds"], "version": version("itk-rtk"),
                **errors(theirs, phantom, mask)},
        "masked_voxels": int(mask.sum()),
        "relative_l2_between_them": float(np.linalg.norm((ours - theirs)[mask].astype(np.float64)) / scale),
        "times_faster": min(seconds["rtk"]) / min(seconds["kiban"]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kiban", type=Path, required=True, help="the kiban program")
    parser.add_argument("--results", type=Path, required=True, help="folder of the JSON report")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--size", type=int, default=256, help="voxels a side")
    parser.add_argument("--views", type=int, default=360)
    parser.add_argument("--detector", type=int, default=512, help="pixels a side")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments, Path(folder))

    kiban, rtk = result["kiban"], result["rtk"]
    print(f"FDK, {result['volume']}^3 from {result['views']} views of {result['detector']}^2, {result['threads']} threads, "
          f"{result['processor']}")
    print(f"  kiban  {min(kiban['seconds']):8.2f} s   RMSE {kiban['rmse']:.5f}   whole process")
    print(f"  RTK    {min(rtk['seconds']):8.2f} s   RMSE {rtk['rmse']:.5f}   its import not counted: {rtk['import_seconds']:.1f} s")
    print(f"  kiban is {result['times_faster']:.1f} times as fast; the volumes differ by "
          f"{result['relative_l2_between_them']:.1e} (relative L2, {result['masked_voxels']} voxels)")
    arguments.results.mkdir(parents=True, exist_ok=True)
    report = arguments.results / f"peers-ct-{result['date']}.json"
    report.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"  written to {report}")
    # Faster with a larger error, or another image, is no answer.
    if kiban["rmse"] > rtk["rmse"] * 1.001 or result["relative_l2_between_them"] > 0.02:
        raise SystemExit("wrong answer: kiban's volume is further from the phantom than RTK's")


if __name__ == "__main__":
    main()

"""Volume operations, side by side with cc3d, edt, ITK and scikit-image: the same arrays in the same process, repetitions interleaved,
results of ours in memory that was touched before. A result that differs from the peer's ends the run.

cc3d and edt are LGPL and GPL: they are measured here, and nothing of them is in Kiban.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy

DATA = Path(os.environ.get("KIBAN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "image"
THREADS = 2


def interleaved(repetitions, warm=True, **calls):
    """Median seconds of each; they take turns, so that all see the same machine."""
    seconds = {name: [] for name in calls}
    for call in calls.values() if warm else ():
        call()  # first touch of memory, first start of threads
    for _ in range(repetitions):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(of) for name, of in seconds.items()}


def of_ours(run, ours):
    """One thread, two, and two calls of one thread each at the same time: what this machine's second core can give."""
    pool, beside = ThreadPoolExecutor(2), numpy.zeros_like(ours)
    return {"one": lambda: run(1, ours), "two": lambda: run(THREADS, ours),
            "both": lambda: list(pool.map(lambda into: run(1, into), (ours, beside)))}


def volumes():
    import kiban

    head = kiban.read(DATA / "mr_t1_256.nii.gz", labels=True).array > 60
    brain = kiban.read(DATA / "brain_labels_256.nii.gz", labels=True).array.astype(numpy.uint16)
    return {"head": head.astype(numpy.uint8), "brain labels": brain}


def require(condition, what):
    if not condition:
        raise SystemExit(f"wrong: {what}")


def components(repetitions):
    import cc3d
    import kiban

    rows = {}
    for name, labels in volumes().items():
        ours = numpy.zeros(labels.shape, numpy.uint32)

        def run(threads, into):
            kiban.image.components(labels, connectivity=26, labels=into, threads=threads)

        took = interleaved(repetitions, **of_ours(run, ours),
                           cc3d=lambda: cc3d.connected_components(labels, connectivity=26))
        require((ours == cc3d.connected_components(labels, connectivity=26)).all(), f"components of {name}")
        rows[f"components 26, {name}"] = row(labels.size, took, {"cc3d": 2})
    return rows


def distances(repetitions):
    import edt
    import itk
    import kiban

    rows = {}
    for name, labels in volumes().items():
        ours = numpy.zeros(labels.shape, numpy.float32)
        mask = labels != 0
        image = itk.GetImageFromArray(mask.astype(numpy.uint8))
        itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(THREADS)

        def maurer():
            return itk.signed_maurer_distance_map_image_filter(image, squared_distance=False, use_image_spacing=True)

        as_bytes = mask.view(numpy.uint8)
        cases = {"multilabel": (labels, {"labels_apart": True}, {"edt": 2}), "binary": (as_bytes, {}, {"edt": 4, "itk": 10}),
                 "signed": (as_bytes, {"signed": True}, {"itk": 10})}
        for what, (source, how, bars) in cases.items():
            def run(threads, into):
                kiban.image.distance(source, distances=into, threads=threads, **how)

            peers = {"edt": lambda: edt.edt(labels if what == "multilabel" else mask, parallel=THREADS), "itk": maurer}
            took = interleaved(repetitions, **of_ours(run, ours), **{peer: peers[peer] for peer in bars})
            truth = edt.edt(labels if what == "multilabel" else mask)
            if what == "signed":
                truth = edt.edt(~mask) - truth
            require(numpy.abs(ours - truth).max() <= 1e-4, f"distances in {name}, {what}")
            rows[f"distance, {what}, {name}"] = row(labels.size, took, bars)
    return rows


def resampling():
    """A CT of 400 x 400 x 200 int16 to 512 x 512 x 300, the same box; few repetitions, for a peer takes most of a minute."""
    import itk
    import kiban
    from scipy import ndimage
    from skimage import transform

    generator = numpy.random.default_rng(2)
    image = ndimage.zoom(generator.normal(size=(25, 50, 50)) * 1000, 8, order=1).astype(numpy.int16)
    shape = (300, 512, 512)
    ours = numpy.zeros(shape, numpy.int16)
    as_itk = itk.GetImageFromArray(image)
    as_float = itk.GetImageFromArray(image.astype(numpy.float32))
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(THREADS)
    scale = [from_ / to for from_, to in zip(image.shape[::-1], shape[::-1])]
    where = {"size": shape[::-1], "output_spacing": scale, "output_origin": [(of - 1) / 2 for of in scale]}

    rows = {}
    for order, interpolation, repetitions in ((1, "linear", 3), (3, "cubic", 1)):
        theirs = {}

        def run(threads, into):
            kiban.image.resample(image, size=shape[::-1], interpolation=interpolation, extend=True, resampled=into,
                                 threads=threads)

        def by_itk():
            if order == 1:
                theirs["itk"] = itk.resample_image_filter(as_itk, **where)
                return
            spline = itk.BSplineInterpolateImageFunction[type(as_float), itk.D, itk.F].New(spline_order=3)
            theirs["itk"] = itk.resample_image_filter(as_float, interpolator=spline, **where)

        def by_skimage():
            theirs["skimage"] = transform.resize(image.astype(numpy.float32), shape, order, mode="edge" if order == 1 else "reflect",
                                                 anti_aliasing=False, preserve_range=True, clip=False)

        calls = of_ours(run, ours)
        for call in calls.values():
            call()
        took = interleaved(repetitions, warm=order == 1, **calls, itk=by_itk, skimage=by_skimage)
        inside = (slice(2, -2),) * 3
        for peer in (itk.GetArrayFromImage(theirs["itk"]), theirs["skimage"]):
            require(numpy.abs(ours.astype(float) - peer)[inside].max() <= 1, f"{interpolation} resampling")
        rows[f"resample, {interpolation}"] = row(ours.size, took, {"itk": 5, "skimage": 5})
    return rows


def grounds():
    """A head's gradients: floats of which few are equal, and whole numbers; and the depth below which minima are noise."""
    import kiban
    from scipy import ndimage

    head = kiban.read(DATA / "mr_t1_256.nii.gz").array
    gradient = ndimage.gaussian_gradient_magnitude(head, 1)
    return {"gradient, float32": (gradient, 4.0), "gradient, uint16": (numpy.round(gradient * 16).astype(numpy.uint16), 64.0)}


def watersheds():
    import itk
    import kiban
    from skimage.segmentation import watershed

    rows = {}
    for name, (ground, depth) in grounds().items():
        markers = kiban.image.minima(ground, depth=depth, connectivity=6).array.astype(numpy.uint16)
        ours = numpy.zeros_like(markers)
        as_itk, markers_itk = itk.GetImageFromArray(ground), itk.GetImageFromArray(markers)
        signed = markers.astype(numpy.int32)
        theirs = {}

        def run(threads, into):
            kiban.image.watershed(ground, markers=markers, connectivity=6, labels=into, threads=threads)

        def by_itk():
            types = (type(as_itk), type(markers_itk))
            theirs["itk"] = itk.MorphologicalWatershedFromMarkersImageFilter[types].New(
                Input1=as_itk, Input2=markers_itk, MarkWatershedLine=False, FullyConnected=False)
            theirs["itk"].Update()

        def by_skimage():
            theirs["skimage"] = watershed(ground, signed)

        calls = of_ours(run, ours)
        for call in calls.values():
            call()
        took = interleaved(5, warm=False, **calls, itk=by_itk, skimage=by_skimage)
        for peer in (itk.GetArrayFromImage(theirs["itk"].GetOutput()), theirs["skimage"]):
            require((ours == peer).mean() >= 0.99, f"watershed of {name}")
        rows[f"watershed, {name}"] = row(ours.size, took, {"itk": 3, "skimage": 3})
    return rows


def row(voxels, took, bars):
    return {"mvoxels_per_s": {name: voxels / 1e6 / seconds for name, seconds in took.items()},
            "times_as_fast": {peer: took[peer] / took["two"] for peer in bars}, "bars": bars,
            "two_threads": took["one"] / took["two"], "two_calls_at_once": 2 * took["one"] / took["both"]}


def grown(labels, size):
    """The same anatomy in more voxels."""
    index = numpy.arange(size) * labels.shape[0] // size
    return numpy.ascontiguousarray(labels[numpy.ix_(index, index, index)])


def mirrored_noise(size):
    """Smooth noise of 128^3 and its mirror images: a ground that is the same at each size, but for how much of it there is."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(numpy.random.default_rng(5).normal(size=(128,) * 3), 3, mode="reflect")
    noise = ((noise - noise.min()) / (noise.max() - noise.min()) * 60000).astype(numpy.uint16)
    index = numpy.arange(size) % 256
    index = numpy.where(index < 128, index, 255 - index)
    return numpy.ascontiguousarray(noise[numpy.ix_(index, index, index)])


def scaled(size):
    """What is timed at each size, of the same anatomy: calls that write into memory that is there."""
    import kiban

    anatomy = volumes()
    head, brain = (grown(labels, size) for labels in anatomy.values())
    image = kiban.image.resample(kiban.read(DATA / "mr_t1_256.nii.gz", keep_type=True), size=size).array
    ground, depth = mirrored_noise(size), 2000.0
    markers = kiban.image.minima(ground, depth=depth, connectivity=6).array
    wide, floats, bytes_ = (numpy.zeros((size,) * 3, of) for of in (numpy.uint32, numpy.float32, numpy.uint8))
    mask_out = numpy.zeros_like(head)
    with_threads = {"threads": THREADS}
    return {
        "components, head": lambda: kiban.image.components(head, labels=wide, **with_threads),
        "components, brain labels": lambda: kiban.image.components(brain, labels=wide, **with_threads),
        "distance, head": lambda: kiban.image.distance(head, labels_apart=True, distances=floats, **with_threads),
        "distance, brain labels": lambda: kiban.image.distance(brain, labels_apart=True, distances=floats, **with_threads),
        "resample, linear": lambda: kiban.image.resample(image, size=size, spacing_mm=0.9, resampled=bytes_, **with_threads),
        "morphology, close 5 mm": lambda: kiban.image.morphology(head, step="close", radius_mm=5, labels=mask_out, **with_threads),
        "grey, open 3 x 3 x 3": lambda: kiban.image.grey(image, step="open", result=bytes_, **with_threads),
        "gaussian, 1.5": lambda: kiban.image.gaussian(image, sigma_mm=1.5, smoothed=bytes_, **with_threads),
        "median, 3 x 3 x 3": lambda: kiban.image.median(image, smoothed=bytes_, **with_threads),
        "reconstruct": lambda: kiban.image.reconstruct(image, depth=10, result=bytes_, **with_threads),
        "watershed": lambda: kiban.image.watershed(ground, markers=markers, connectivity=6, labels=wide, **with_threads),
    }


def scaling():
    """Seconds of two threads at each size, and the exponent: slope of log seconds over log voxels."""
    sizes = (128, 256, 384, 512, 768)
    seconds = {}
    for size in sizes:
        for name, call in scaled(size).items():
            seconds.setdefault(name, []).append(interleaved(7 if size < 384 else 2, run=call)["run"])
    rows = {}
    for name, of in seconds.items():
        slope = numpy.polyfit(numpy.log([float(size) ** 3 for size in sizes]), numpy.log(of), 1)[0]
        rows[name] = {"sizes": sizes, "seconds": of, "exponent": float(slope)}
    return rows


def near_the_limit(repetitions):
    """Bytes in once and out once a second, over those that two threads copy (read and written) in the same run."""
    import kiban

    shape = (768, 1024, 1024)
    image = numpy.random.default_rng(1).integers(-1000, 2000, shape[1:], dtype=numpy.int16)
    image = numpy.ascontiguousarray(numpy.broadcast_to(image, shape))
    copy = numpy.zeros_like(image)
    mask = numpy.zeros(shape, numpy.uint8)
    labels = numpy.zeros(shape, numpy.uint8)
    labels[:, 100:900, 100:900] = numpy.arange(8, dtype=numpy.uint8).repeat(100)
    pool = ThreadPoolExecutor(THREADS)
    parts = numpy.array_split(numpy.arange(shape[0]), THREADS)

    def memcpy():
        list(pool.map(lambda part: numpy.copyto(copy[part[0]:part[-1] + 1], image[part[0]:part[-1] + 1]), parts))

    took = interleaved(repetitions, memcpy=memcpy,
                       threshold=lambda: kiban.image.threshold(image, low=0, high=500, labels=mask, threads=THREADS),
                       statistics=lambda: kiban.image.statistics(labels, image=image, threads=THREADS),
                       box=lambda: kiban.image.grey(image, step="erode", result=copy, threads=THREADS),
                       cross=lambda: kiban.image.grey(image, step="dilate", element="cross", result=copy, threads=THREADS))
    require((mask[0] == ((image[0] >= 0) & (image[0] <= 500))).all(), "threshold")
    rate = 2 * image.nbytes / took["memcpy"]
    return {"memcpy_gb_per_s": rate / 1e9,
            "threshold": (image.nbytes + mask.nbytes) / took["threshold"] / rate,
            "statistics": (image.nbytes + labels.nbytes) / took["statistics"] / rate,
            "erosion by 3 x 3 x 3": 2 * image.nbytes / took["box"] / rate,
            "dilation by a cross": 2 * image.nbytes / took["cross"] / rate}


PEAK = """
import sys, resource, numpy, kiban
sys.path.insert(0, sys.argv[3])
import image
labels = image.volumes()[sys.argv[2]]
out = numpy.zeros(labels.shape, numpy.uint32 if sys.argv[1] == "components" else numpy.float32)
out.fill(1)  # its pages are there before the clock of memory starts
small, small_out = labels[:8, :8, :8].copy(), out[:8, :8, :8].copy()
run = {"components": lambda a, b: kiban.image.components(a, labels=b, threads=2),
       "distance": lambda a, b: kiban.image.distance(a, labels_apart=True, distances=b, threads=2)}[sys.argv[1]]
run(small, small_out)
def now():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
open("/proc/self/clear_refs", "w").write("5")
before = now()
run(labels, out)
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(max(0, peak - before) / out.nbytes)
"""


def memory():
    """Peak beyond input and output, in parts of the output."""
    rows = {}
    for operation in ("components", "distance"):
        for name in volumes():
            done = subprocess.run([sys.executable, "-c", PEAK, operation, name, str(Path(__file__).parent)], check=True,
                                  capture_output=True, text=True)
            rows[f"{operation}, {name}"] = float(done.stdout)
    return rows


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def show(measured):
    for part in ("components", "distance", "resample", "watershed"):
        for what, of in measured[part].items():
            peers = ", ".join(f"{of['times_as_fast'][peer]:.2f} times {peer} (bar {bar})" for peer, bar in of["bars"].items())
            print(f"{what}: {peers}; {of['mvoxels_per_s']['two']:.0f} Mvoxel/s, two threads "
                  f"{of['two_threads']:.2f} times one (two calls at once: {of['two_calls_at_once']:.2f})")
    for what, of in measured["scaling"].items():
        print(f"{what}: exponent {of['exponent']:.3f} from {of['sizes'][0]}^3 to {of['sizes'][-1]}^3")
    limit = measured["near_the_limit"]
    parts = ", ".join(f"{what} {part:.0%}" for what, part in limit.items() if what != "memcpy_gb_per_s")
    print(f"{parts} of memcpy's {limit['memcpy_gb_per_s']:.1f} GB/s")
    for what, of in measured["memory"].items():
        print(f"{what}: {of:.3f} times the output beyond input and output")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kiban", type=Path, required=True, help="the kiban command; its Python package is found beside it")
    parser.add_argument("--results", type=Path, help="a folder for the report")
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    package = str(options.kiban.resolve().parents[1] / "python")
    sys.path.insert(0, package)
    os.environ["PYTHONPATH"] = package
    if not (DATA / "mr_t1_256.nii.gz").exists():
        raise SystemExit(f"the volumes are not in {DATA}; set KIBAN_TEST_DATA")
    measured = {"date": date.today().isoformat(), "processor": processor(), "threads": THREADS,
                "load": os.getloadavg(),
                "peers": {peer: importlib.metadata.version(peer) for peer in ("connected-components-3d", "edt", "itk-core", "scipy", "scikit-image")},
                "components": components(options.repetitions), "distance": distances(options.repetitions),
                "resample": resampling(), "watershed": watersheds(), "scaling": scaling(), "near_the_limit": near_the_limit(options.repetitions),
                "memory": memory()}
    show(measured)
    if options.results:
        path = options.results / f"peers-image-{measured['date']}.json"
        lists_on_a_line = re.sub(r"\[[^\[\]{}]*\]", lambda of: " ".join(of[0].split()), json.dumps(measured, indent=2))
        path.write_text(lists_on_a_line + "\n")
        print(f"written to {path}")


if __name__ == "__main__":
    main()

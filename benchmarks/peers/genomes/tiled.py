"""The slice of NA12878 laid out again and again on one longer sequence: as much work as one likes, of one kind."""

import subprocess

from . import callers

BEGIN, END = 9_999_700, 10_100_300  # all reads lie within


def tiled(folder, sample, truth, copies):
    """Files of a sample of `copies` times 100 kb: (callers.Sample, candidates)."""
    length = END - BEGIN
    lines = callers.run("samtools", "faidx", sample.reference, f"chr20:{BEGIN + 1}-{END}").decode().splitlines()
    bases = "".join(lines[1:])
    reference, reads, candidates = folder / "tiled.fa", folder / "tiled.bam", folder / "tiled.vcf.gz"
    with open(reference, "w") as file:
        file.write(">chr20\n" + "".join(bases + "\n" for _ in range(copies)))
    callers.run("samtools", "faidx", reference)
    records = [line.split("\t") for line in callers.run("samtools", "view", sample.reads).decode().splitlines()]
    records = [each for each in records if each[2] == "chr20" and each[6] in ("=", "*")
               and BEGIN < int(each[3]) < END - 500 and (each[6] == "*" or BEGIN < int(each[7]) < END)]
    with subprocess.Popen(["samtools", "view", "-b", "-o", reads, "-"], stdin=subprocess.PIPE, text=True) as writer:
        writer.stdin.write(f"@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr20\tLN:{length * copies}\n@RG\tID:tiled\tSM:NA12878\n")
        for copy in range(copies):
            shift = copy * length - BEGIN
            for fields in records:
                mate = int(fields[7]) + shift if fields[6] == "=" else 0
                writer.stdin.write("\t".join((f"{fields[0]}.{copy}", *fields[1:3], str(int(fields[3]) + shift), *fields[4:7],
                                              str(mate), *fields[8:11], "RG:Z:tiled\n")))
    callers.run("samtools", "index", reads)
    text = [callers.header("chr20", length * copies)]
    for copy in range(copies):
        text += [f"chr20\t{position + copy * length - BEGIN}\t.\t{ref}\t{alt}\t.\t.\t.\n" for position, ref, alt in sorted(truth)]
    callers.write(candidates, "".join(text).encode())
    return callers.Sample(reads, reference, "chr20"), candidates

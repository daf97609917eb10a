"""Genotypes of given candidates by Kiban, freebayes and bcftools, each as its manual says to force them; and files for all."""

import subprocess
import time
from collections import namedtuple
from pathlib import Path

Call = namedtuple("Call", "dosage quality")  # how many chromosomes have the allele, None for no genotype; QUAL


def run(*command, **options):
    """The output of a command; fails with what it said."""
    done = subprocess.run([str(each) for each in command], capture_output=True, **options)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


class Sample:
    """Reads, their reference, and where they are looked at."""

    def __init__(self, reads, reference, region, ploidy=2):
        self.reads, self.reference, self.region, self.ploidy = Path(reads), Path(reference), region, ploidy


def kiban(command, sample, candidates, out):
    run(command, "run", "variant.genotype", "--reads", sample.reads, "--reference", sample.reference, "--candidates", candidates,
        "--scored", out, "--threads", 1, "--ploidy", sample.ploidy)


def freebayes(_, sample, candidates, out):
    text = run("freebayes", "-f", plain(sample.reference), "-@", candidates, "-l", "-r", sample.region, "-p", sample.ploidy,
               sample.reads)
    write(out, text)


def bcftools(_, sample, candidates, out):
    """Alleles are forced by a table of them; indels are looked for at any evidence."""
    table = Path(f"{out}.alleles.tsv.gz")
    rows = run("bcftools", "query", "-f", "%CHROM\\t%POS\\t%REF,%ALT\\n", candidates)
    table.write_bytes(run("bgzip", "-c", input=rows))
    run("tabix", "-f", "-s1", "-b2", "-e2", table)
    piled = run("bcftools", "mpileup", "-f", sample.reference, "-r", sample.region, "-a", "AD", "-m", 1, "-F", 0.01, "-Ou",
                sample.reads)
    text = run("bcftools", "call", "-m", "-C", "alleles", "-T", table, "-Ov", input=piled)
    write(out, text)


CALLERS = {"kiban": kiban, "freebayes": freebayes, "bcftools": bcftools}


def timed(caller, *arguments):
    begin = time.perf_counter()
    CALLERS[caller](*arguments)
    return time.perf_counter() - begin


def plain(reference):
    """freebayes reads no compressed FASTA."""
    if reference.suffix != ".gz":
        return reference
    unpacked = Path("/tmp") / f"{reference.stem}.kiban-peers"
    if not unpacked.exists():
        unpacked.write_bytes(run("bgzip", "-dc", reference))
        run("samtools", "faidx", unpacked)
    return unpacked


def write(out, text):
    """VCF text as a bgzipped, indexed file, in order."""
    ordered = run("bcftools", "sort", "-Ov", input=text)
    Path(out).write_bytes(run("bgzip", "-c", input=ordered))
    run("tabix", "-f", "-p", "vcf", out)


def normalised(candidates, reference, out):
    """The same, one allele a record, trimmed and shifted left."""
    run("bcftools", "norm", "-m", "-any", "-f", reference, "-Oz", "-o", out, candidates)
    write(out, run("bcftools", "view", out))
    return out


def calls(scored, reference):
    """{(position, ref, alt): Call} of the first sample, one allele each, normalised."""
    lines = run("bcftools", "norm", "-m", "-any", "-f", reference, scored).decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        genotype = fields[9].split(":")[0].replace("|", "/")
        dosage = None if "." in genotype else genotype.split("/").count("1")
        found[int(fields[1]), fields[3], fields[4]] = Call(dosage, 0.0 if fields[5] == "." else float(fields[5]))
    return found


def header(contig, length):
    return f"##fileformat=VCFv4.2\n##contig=<ID={contig},length={length}>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"

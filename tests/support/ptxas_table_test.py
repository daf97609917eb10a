"""The table of kernels must fail where it should: planted spills, missing kernels, stale figures."""

import tempfile
import unittest
from pathlib import Path

import ptxas_table

PTXAS = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN5kiban2ct12_GLOBAL__N_14goodEPf' for 'sm_90'
ptxas info    : Function properties for _ZN5kiban2ct12_GLOBAL__N_14goodEPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 640 bytes smem, 388 bytes cmem[0]
ptxas info    : Compiling entry function '_ZN5kiban2ct12_GLOBAL__N_17spillerEPf' for 'sm_90'
ptxas info    : Function properties for _ZN5kiban2ct12_GLOBAL__N_17spillerEPf
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 255 registers, used 0 barriers
"""

PTX = """\
.visible .entry good(
	.param .u64 good_param_0
)
{
	ld.global.nc.f32 	%f1, [%rd1];
	@%p1 bra 	$L__BB0_2;
	fma.rn.f32 	%f2, %f1, %f1, %f1;
	mul.f64 	%fd1, %fd2, %fd3;
	tex.a2d.v4.f32.f32 	{%f1, %f2, %f3, %f4}, [%rd1, {%r1, %f1, %f2, %f1}];
	@%p2 st.global.f32 	[%rd2], %f2;
$L__BB0_2:
	bar.sync 	0;
	ret;

}
"""


def row(spills=0, registers=32, kernel="good"):
    resources = {"registers": registers, "shared": 0, "stack": 0, "spills": spills}
    counts = dict.fromkeys(ptxas_table.INSTRUCTIONS, 1)
    return ("kernels/a_cuda.cu", kernel, dict.fromkeys(ptxas_table.ARCHITECTURES, resources), counts)


class Parsing(unittest.TestCase):
    def test_resources(self):
        kernels = ptxas_table.parse_ptxas(PTXAS)
        good = {"registers": 32, "shared": 640, "stack": 0, "spills": 0}
        spiller = {"registers": 255, "shared": 0, "stack": 16, "spills": 20}
        self.assertEqual(list(kernels.values()), [good, spiller])

    def test_names(self):
        names = ptxas_table.demangled(list(ptxas_table.parse_ptxas(PTXAS)))
        self.assertEqual(list(names.values()), ["ct::good", "ct::spiller"])

    def test_instructions(self):
        counts = ptxas_table.count_instructions(PTX)["good"]
        expected = {"fp32": 1, "fp64": 1, "ld.global": 1, "st.global": 1, "tex": 1, "ld/st.shared": 0, "atomic": 0,
                    "barrier": 1, "branch": 1, "all": 8}
        self.assertEqual(counts, expected)


class Checking(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, ptxas_table, "TABLE", ptxas_table.TABLE)
        ptxas_table.TABLE = Path(folder.name, "kernels.md")

    def faults(self, committed, now, version="V1"):
        if committed is not None:
            ptxas_table.TABLE.write_text(ptxas_table.render(committed, "V1"))
        return ptxas_table.check(now, version)

    def test_a_true_table_passes(self):
        self.assertEqual(self.faults([row()], [row()]), [])

    def test_a_spill_fails_even_where_the_table_tells_of_it(self):
        self.assertEqual(len(self.faults([row(spills=4)], [row(spills=4)])), len(ptxas_table.ARCHITECTURES))

    def test_new_and_gone_kernels_fail(self):
        self.assertEqual(len(self.faults([row()], [row(), row(kernel="new")])), 1)
        self.assertEqual(len(self.faults([row(), row(kernel="gone")], [row()])), 1)

    def test_no_table_fails(self):
        self.assertEqual(len(self.faults(None, [row()])), 1)

    def test_other_figures_fail_with_the_same_compiler_only(self):
        self.assertEqual(len(self.faults([row()], [row(registers=33)])), 1)
        self.assertEqual(self.faults([row()], [row(registers=33)], version="V2"), [])

    def test_a_cell_that_costs_too_much_fails(self):
        def rows(instructions_a_row):
            made = [row(kernel=f"sum<16, {n}>") for n in (7, 10, 16)]
            for (_, _, _, counts), n in zip(made, (7, 10, 16)):
                counts["fp32"] = 2 + n * instructions_a_row
            return made

        bound = {r"sum<16, (\d+)>": 12}
        ptxas_table.TABLE.write_text(ptxas_table.render(rows(12), "V1"))
        self.assertEqual(ptxas_table.check(rows(12), "V1", bound), [])
        self.assertIn("13.0 fp32 instructions a cell", "".join(ptxas_table.check(rows(13), "V2", bound)))
        self.assertEqual(len(ptxas_table.check(rows(12), "V1", {r"renamed<(\d+)>": 12})), 1)


if __name__ == "__main__":
    unittest.main()

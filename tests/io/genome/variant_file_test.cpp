#include "io/genome/variant_file.hpp"

#include <gtest/gtest.h>

#include "tests/io/scratch.hpp"
#include "tests/support/genome_files.hpp"

namespace kiban::io {
namespace {

const std::string kHead =
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n"
    "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n";
const std::string kVcf = kHead +
                         "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\ts2\n"
                         "chr1\t10\trs1\ta\tC,<DEL>,*\t50\tPASS\tAF=0.1,0.2,0.3\tGT\t0/1\t1|2\n"
                         "chr1\t20\t.\tAC\t.\t.\t.\t.\tGT\t./.\t0\n";

std::vector<VariantSite> all(const std::filesystem::path& path) {
  VariantReader reader(path);
  std::vector<VariantSite> sites;
  for (VariantSite site; reader.next(site);) sites.push_back(site);
  return sites;
}

TEST(VariantFile, VcfAndBcfAreReadAlike) {
  const test::Scratch scratch;
  for (const char* name : {"a.vcf", "a.vcf.gz", "a.bcf"}) {
    const auto sites = all(test::write_variants(scratch / name, kVcf));
    ASSERT_EQ(sites.size(), 2U) << name;
    EXPECT_EQ(sites[0].contig, "chr1");
    EXPECT_EQ(sites[0].position, 9);
    EXPECT_EQ(sites[0].id, "rs1");
    EXPECT_EQ(sites[0].alleles, (std::vector<std::string>{"a", "C", "<DEL>", "*"}));
    EXPECT_EQ(sites[1].id, ".");
    EXPECT_EQ(sites[1].alleles[0], "AC");
  }
}

TEST(VariantFile, WhatIsWrongIsSaid) {
  const test::Scratch scratch;
  const auto read = [&](const std::string& name, const std::string& text) {
    return [path = scratch.write(name, text)] { all(path); };
  };
  test::expect_input_error([&] { all(scratch / "none.vcf"); }, {"none.vcf"});
  test::expect_input_error(read("a.vcf", "no variants here\n"), {"a.vcf", "neither"});
  test::expect_input_error(read("b.vcf", kHead + "chr1\t1\t.\tA\tC\n"), {"b.vcf"});
  test::expect_input_error(read("c.vcf", kVcf + "chr1\tx\t.\tA\tC\t.\t.\t.\tGT\t0\t0\n"), {"c.vcf", "record 3"});
  test::expect_input_error(read("d.vcf", kVcf + "chr1\t30\t.\tA\n"), {"d.vcf", "record 3"});
  const std::string packed = test::content_of(test::write_variants(scratch / "e.vcf.gz", kVcf));
  test::expect_input_error(read("e.vcf.gz", packed.substr(0, packed.size() - 10)), {"e.vcf.gz", "cut short"});
}

GenotypedSite genotyped() {
  GenotypedSite made;
  made.site = {"chr1", 9, "rs1", {"A", "C"}};
  made.quality = 12.345;
  made.spanned = true;
  made.samples.push_back({{0, 1}, {3, 4}, 9, 99, {100, 0, 90}, 2});
  made.samples.push_back({{-1, -1}, {0, 0}, 0, {}, {}, 0});
  return made;
}

TEST(VariantFile, WhatIsWrittenIsReadByOthers) {
  const test::Scratch scratch;
  for (const char* name : {"out.vcf.gz", "out.bcf"}) {
    const std::filesystem::path path = scratch / name;
    const std::string index = path.string() + variant_index_extension(path, {{"chr1", 1000}});
    VariantWriter writer(path, "final.vcf.gz", index, {{"chr1", 1000}}, {"s1", "s2"}, "Kiban");
    writer.write(genotyped());
    GenotypedSite passed;
    passed.site = {"chr1", 19, ".", {"A", "<DEL>"}};
    passed.unscored = "symbolic_allele";
    writer.write(passed);
    GenotypedSite haploid = genotyped();
    haploid.site.position = 29;
    haploid.spanned = false;
    haploid.samples[0] = {{1}, {0, 4}, 4, 40, {40, 0}, 0};
    haploid.samples[1] = {{-1}, {0, 0}, 0, {}, {}, 0};
    writer.write(haploid);
    writer.finish();
    const auto lines = test::variant_lines(path);
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0],
              "chr1\t10\trs1\tA\tC\t12.35\t.\tSPANDEL\tGT:AD:DP:GQ:PL:UF\t0/1:3,4:9:99:100,0,90:2\t./.:0,0:0:.:.:0");
    EXPECT_EQ(lines[1], "chr1\t20\t.\tA\t<DEL>\t.\t.\tUNSCORED=symbolic_allele\tGT\t.\t.");
    EXPECT_EQ(lines[2], "chr1\t30\trs1\tA\tC\t12.35\t.\t.\tGT:AD:DP:GQ:PL:UF\t1:0,4:4:40:40,0:0\t.:0,0:0:.:.:0");
    htsFile* const file = hts_open(path.c_str(), "r");
    bcf_hdr_t* const header = bcf_hdr_read(file);
    EXPECT_EQ(bcf_hdr_nsamples(header), 2);
    hts_idx_t* const opened = bcf_index_load3(path.c_str(), index.c_str(), 0);
    tbx_t* const tabix = name == std::string("out.vcf.gz") ? tbx_index_load2(path.c_str(), index.c_str()) : nullptr;
    EXPECT_TRUE(opened || tabix);
    if (tabix) tbx_destroy(tabix);
    if (opened) hts_idx_destroy(opened);
    bcf_hdr_destroy(header);
    hts_close(file);
  }
}

TEST(VariantFile, OnlyIndexableNamesAreTaken) {
  EXPECT_EQ(variant_index_extension("a.vcf.gz", {{"1", 1000}}), ".tbi");
  EXPECT_EQ(variant_index_extension("b.a.vcf.gz", {{"1", 1LL << 30}}), ".csi");
  EXPECT_EQ(variant_index_extension("a.bcf", {}), ".csi");
  test::expect_input_error([] { variant_index_extension("a.vcf", {}); }, {"a.vcf", ".vcf.gz"});
}

TEST(VariantFile, AFullDiskIsSaid) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  const test::Scratch scratch;
  test::expect_input_error(
      [&] {
        VariantWriter writer("/dev/full", "final.vcf.gz", scratch / "x.tbi", {{"chr1", 1000}}, {"s1", "s2"}, "Kiban");
        for (int i = 0; i < 100'000; ++i) writer.write(genotyped());
        writer.finish();
      },
      {"final.vcf.gz"});
}

}  // namespace
}  // namespace kiban::io

#include <gtest/gtest.h>

#include "io/dicom_reader.hpp"
#include "tests/io/dicom/part_10.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/process.hpp"
#include "tests/support/test_data.hpp"

namespace kiban::test {
namespace {

using io::DicomTag;
using io::DicomValues;

constexpr DicomTag kModality{0x0008, 0x0060}, kSeries{0x0008, 0x103e}, kBodyPart{0x0018, 0x0015}, kRows{0x0028, 0x0010},
    kSyntax{0x0002, 0x0010};

std::optional<DicomValues> values(const std::filesystem::path& file, const std::vector<DicomTag>& tags) {
  return io::dicom_reader().values(file, tags);
}

std::string refusal(std::string_view name) {
  try {
    const DicomTag tag = io::dicom_reader().tag(name);
    return "accepted as " + std::to_string(tag.group);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    return error.what();
  }
}

TEST(DicomTags, HaveKeywordsAndNumbers) {
  EXPECT_EQ(io::dicom_reader().tag("Modality"), kModality);
  EXPECT_EQ(io::dicom_reader().tag("SeriesDescription"), kSeries);
  EXPECT_EQ(io::dicom_reader().tag("0008,103e"), kSeries);
  EXPECT_EQ(io::dicom_reader().tag("0008,103E"), kSeries);
  EXPECT_EQ(io::dicom_reader().tag("0029,1010"), (DicomTag{0x0029, 0x1010}));
  for (const char* bad : {"Modalty", "", "0008,103", "0008,103g", "0008103e", "+008,103e", "0x08,103e", "-008,0060"})
    EXPECT_NE(refusal(bad).find("is no keyword"), std::string::npos) << refusal(bad);
  EXPECT_NE(refusal("ReferencedImageSequence").find("sequence"), std::string::npos);
  EXPECT_NE(refusal("PixelData").find("pixel data"), std::string::npos);
  EXPECT_NE(refusal("7fe0,0010").find("pixel data"), std::string::npos);
}

TEST(DicomValuesOf, AFileThatDump2dcmWrote) {
  const Scratch scratch;
  const std::string dump =
      "(0008,0005) CS [ISO_IR 100]\n(0008,0008) CS [ORIGINAL\\PRIMARY\\AXIAL]\n(0008,0016) UI "
      "[1.2.840.10008.5.1.4.1.1.2]\n(0008,0018) UI [1.2.3]\n(0008,0060) CS [CT]\n(0008,103e) LO [Sch\xe4"
      "del]\n"
      "(0028,0010) US 512\n(7fe0,0010) OW 1\\2\\3\\4\n";
  const std::string dumped = scratch.write("ct.dump", dump);
  for (const char* syntax : {"+te", "+tb", "+ti"}) {  // explicit little and big endian, implicit
    const std::string file = scratch / "ct.dcm";
    const Finished finished = run({"dump2dcm", "-q", "+F", syntax, dumped, file});
    ASSERT_EQ(finished.status, 0) << "dump2dcm (Debian's dcmtk): " << finished.err;
    const DicomValues expected = {{kModality, "CT"},
                                  {kSeries,
                                   "Sch\xc3\xa4"
                                   "del"},
                                  {kRows, "512"},
                                  {{0x0008, 0x0008}, "ORIGINAL\\PRIMARY\\AXIAL"}};
    EXPECT_EQ(values(file, {kModality, kSeries, kRows, {0x0008, 0x0008}, kBodyPart}), expected) << syntax;
  }
}

TEST(DicomValuesOf, TheHeaderOfMetaInformationToo) {
  const Scratch scratch;
  const auto found = values(scratch.write("ct.dcm", ct_file("CT", "HEAD")), {kSyntax, kModality});
  EXPECT_EQ(found, (DicomValues{{kSyntax, kExplicitLittle}, {kModality, "CT"}}));
}

TEST(DicomValuesOf, RealFiles) {
  const auto folder = test_data("image/ct_dicom_series");
  if (!folder) GTEST_SKIP() << "no image/ct_dicom_series in the test data; set KIBAN_TEST_DATA";
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (++seen > 5) break;
    const Finished dumped = run({"dcmdump", "+L", "+P", "0008,0032", "+P", "0020,0013", "-q", entry.path()});
    const auto found = values(entry.path(), {kModality, {0x0008, 0x0032}, {0x0020, 0x0013}});
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 3);
    EXPECT_EQ(found->at(kModality), "CT");
    for (const auto& [tag, value] : *found)
      if (tag != kModality) {
        EXPECT_NE(dumped.out.find("[" + value), std::string::npos) << value << dumped.out;
      }
  }
  EXPECT_GE(seen, 5);
}

TEST(DicomValuesOf, JapaneseText) {  // PS3.5 H.3: ISO 2022 IR 87, that is JIS X 0208
  const Scratch scratch;
  const std::string file = part_10(element(8, 5, "CS", "\\ISO 2022 IR 87") + element(0x0008, 0x0060, "CS", "CT") +
                                   element(0x0008, 0x103e, "LO", "\x1b$BF,It\x1b(B"));
  EXPECT_EQ(values(scratch.write("ct.dcm", file), {kSeries}), (DicomValues{{kSeries, "頭部"}}));
}

TEST(DicomValuesOf, WhatIsNotDicomIsNothing) {
  const Scratch scratch;
  EXPECT_EQ(values(scratch.write("a", "short"), {kModality}), std::nullopt);
  EXPECT_EQ(values(scratch.write("b", std::string(100000, 'x')), {kModality}), std::nullopt);
  EXPECT_EQ(values(scratch.write("c", ct_file("CT", "HEAD").substr(1)), {kModality}), std::nullopt);
}

TEST(DicomValuesOf, TruncatedAnywhereIsReadOrRefused) {
  const Scratch scratch;
  const std::string whole = ct_file("CT", "HEAD");
  int refused = 0, whole_reads = 0;
  for (std::size_t size = 132; size < whole.size(); ++size) {
    const std::string file = scratch.write("cut.dcm", whole.substr(0, size));
    try {
      const auto found = values(file, {kModality, kBodyPart});
      for (const auto& [tag, value] : found.value())
        EXPECT_EQ(value, tag == kModality ? "CT" : "HEAD") << size << ": a part of a value was taken for a value";
      if (found->size() == 2) ++whole_reads;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::input);
      ++refused;
    }
  }
  EXPECT_GT(refused, 20);
  EXPECT_GE(whole_reads, 64) << "cut in the pixel data nothing that is asked for is missing";
}

TEST(DicomValuesOf, LengthsThatLieTakeNoMemory) {
  const Scratch scratch;
  const std::string modality = element(0x0008, 0x0060, "CS", "CT"), part = element(0x0018, 0x0015, "CS", "HEAD");
  for (const char* vr : {"OB", "OW", "UN", "UT", "SQ"})
    for (const std::uint32_t length : {0xfffffffeu, 0x7fffffffu, 0x80000000u, 100000u, 0xffffffffu}) {
      const std::string file =
          scratch.write("lie.dcm", part_10(modality + element(0x0009, 0x1000, vr, "abcd", length) + part));
      try {
        const auto found = values(file, {kModality, kBodyPart});
        ASSERT_TRUE(found);
        EXPECT_FALSE(found->contains(kBodyPart)) << vr << " " << length;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::input) << vr << " " << length;
      }
    }
}

TEST(DicomValuesOf, LongValuesAreSkippedAndFoundBehind) {
  const Scratch scratch;
  const std::string file =
      part_10(element(0x0008, 0x0060, "CS", "CT") + element(0x0009, 0x1000, "OB", std::string(50 << 20, 'x')) +
              element(0x0018, 0x0015, "UT", std::string(5000, 'y')) + element(0x0028, 0x0010, "US", little(512, 2)));
  EXPECT_EQ(values(scratch.write("long.dcm", file), {kModality, kBodyPart, kRows}),
            (DicomValues{{kModality, "CT"}, {kRows, "512"}}));
}

std::string nested(int levels, bool closed) {
  const std::string open =
      element(0x0008, 0x1140, "SQ", "", 0xffffffff) + little(0xe000fffe, 4) + little(0xffffffff, 4);
  const std::string close = little(0xe00dfffe, 4) + little(0, 4) + little(0xe0ddfffe, 4) + little(0, 4);
  std::string data;
  for (int i = 0; i < levels; ++i) data += open;
  for (int i = 0; closed && i < levels; ++i) data += close;
  return data;
}

TEST(DicomValuesOf, NestingEndsBeforeTheStack) {
  const Scratch scratch;
  const std::string behind = element(0x0018, 0x0015, "CS", "HEAD");
  EXPECT_EQ(values(scratch.write("ten.dcm", part_10(nested(10, true) + behind)), {kBodyPart}),
            (DicomValues{{kBodyPart, "HEAD"}}));
  for (const int levels : {10'000, 40'000, 200'000})
    expect_input_error(
        [&] { values(scratch.write("deep.dcm", part_10(nested(levels, levels == 10'000) + behind)), {kBodyPart}); },
        {"deep.dcm", "nested too deeply"});
}

TEST(DicomValuesOf, AHeaderWithoutEndIsRefused) {
  const Scratch scratch;
  std::string many;
  for (int i = 0; i < 300'000; ++i) many += element(0x0009, 0x1000, "CS", "");
  expect_input_error([&] { values(scratch.write("many.dcm", part_10(many)), {kBodyPart}); }, {"many.dcm", "too long"});
}

TEST(DicomValuesOf, DeflatedIsRefusedNotInflated) {
  const Scratch scratch;
  expect_input_error([&] { values(scratch.write("d.dcm", part_10("whatever", kDeflated)), {kModality}); },
                     {"d.dcm", "deflated"});
}

TEST(DicomValuesOf, NothingIsPrintedAndErrorsNameTheFile) {
  const Scratch scratch;
  expect_input_error([&] { values(scratch / "none.dcm", {kModality}); }, {"none.dcm", "no such file"});
  expect_input_error(
      [&] { values(scratch.write("bad.dcm", part_10(element(8, 0x60, "CS", "C", 60000))), {kBodyPart}); }, {"bad.dcm"});
}

}  // namespace
}  // namespace kiban::test

// Changes valid files at random and reads them: each must be read or refused with an input error of one line. A crash,
// a fault that a sanitizer finds, another exception or an endless loop (CTest's time limit) fails the test.
//
// usage: parsers [ROUNDS] [SEED]     rounds per kind of file
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "io/dicom_reader.hpp"
#include "io/genome/pairhmm_text.hpp"
#include "io/genome/reads_file.hpp"
#include "io/genome/reference_file.hpp"
#include "io/genome/regions.hpp"
#include "io/genome/variant_file.hpp"
#include "io/geometry/rtk_xml.hpp"
#include "io/hdf5/exchange_file.hpp"
#include "io/image/image_file.hpp"
#include "kernels/core/error.hpp"
#include "tests/io/dicom/part_10.hpp"
#include "tests/support/genome_files.hpp"
#include "tests/support/process.hpp"

namespace {

namespace fs = std::filesystem;
using kiban::Array;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  // One to eight changes, most of them near the front, where headers are.
  std::string mutated(std::string bytes) {
    for (std::size_t change = 1 + below(8); change > 0 && !bytes.empty(); --change) {
      const std::size_t reach = below(3) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 512);
      const std::size_t at = below(reach);
      switch (below(7)) {
        case 0:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
        case 2:
          bytes.erase(at, 1 + below(16));
          break;
        case 3:
          bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(32)));
          break;
        case 4:
          bytes.resize(at);
          break;
        case 5:
          bytes.insert(at, interesting_[below(interesting_.size())]);
          break;
        case 6: {  // a number of 2, 4 or 8 bytes
          const std::string raw(std::size_t{2} << below(3), extreme_[below(extreme_.size())]);
          bytes.replace(at, raw.size(), raw);
          break;
        }
      }
    }
    return bytes;
  }

 private:
  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }

  std::mt19937_64 random_;
  const std::vector<std::string> interesting_{"0", "-1", "99999999999", "1e308", "nan", "inf", "%s%n", "\n",  "=",
                                              "<", ">",  "&a;",         "\0",    " ",   "2 3", "LIST", ":= ", "\r\n"};
  const std::vector<char> extreme_{'\0', '\x01', '\x7f', '\x80', '\xff'};
};

struct Kind {
  std::string name;
  std::string seed;
  std::function<void(const fs::path&)> read;
};

void read_image(const fs::path& path) {
  kiban::io::read_volume(path);
  kiban::io::ImageReader reader(path);
  kiban::io::read_voxels(reader, kiban::io::label_type(reader));
}

void read_scan(const fs::path& path) {
  const kiban::io::ExchangeReader reader(path);
  Array<float, 3> view({1, reader.shape()[1], reader.shape()[2]});
  reader.read(0, 1, view.span());
  if (reader.flat_count() > 0) reader.flats();
  if (reader.dark_count() > 0) reader.darks();
  if (reader.has_angles()) reader.angles_deg();
}

/// Nested, with every kind of length field, and kanji.
std::string dicom_seed() {
  using namespace kiban::test;
  const std::string item = little(0xe000fffe, 4) + little(0xffffffff, 4) + element(8, 0x1150, "UI", "1.2") +
                           little(0xe00dfffe, 4) + little(0, 4);
  return part_10(element(8, 5, "CS", "\\ISO 2022 IR 87") + element(8, 0x60, "CS", "CT") +
                 element(8, 0x103e, "LO", "\x1b$BF,It\x1b(B") +
                 element(8, 0x1140, "SQ", item + little(0xe0ddfffe, 4) + little(0, 4), 0xffffffff) +
                 element(9, 0x1000, "UN", std::string(2000, 'u')) + element(0x18, 0x15, "CS", "HEAD") +
                 element(0x28, 0x10, "US", little(512, 2)) + element(0x7fe0, 0x10, "OW", std::string(64, '\7')));
}

/// An image with a place, 16 x 16 pixels of 12 bits.
std::string dicom_image() {
  using namespace kiban::test;
  const auto number = [](std::uint16_t tag, std::uint64_t value) { return element(0x28, tag, "US", little(value, 2)); };
  std::string pixels;
  for (std::uint64_t i = 0; i < 256; ++i) pixels += little(i * i % 4096, 2);
  return part_10(element(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.2") + element(8, 0x18, "UI", "1.2.3.4") +
                 element(0x18, 0x50, "DS", "2.5") + element(0x20, 0xe, "UI", "1.2.3") +
                 element(0x20, 0x32, "DS", "1\\2\\3") + element(0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0") + number(2, 1) +
                 element(0x28, 4, "CS", "MONOCHROME2") + number(0x10, 16) + number(0x11, 16) +
                 element(0x28, 0x30, "DS", "0.5\\0.5") + number(0x100, 16) + number(0x101, 12) + number(0x102, 11) +
                 number(0x103, 0) + element(0x28, 0x1052, "DS", "-1024") + element(0x28, 0x1053, "DS", "1") +
                 element(0x7fe0, 0x10, "OW", pixels));
}

/// The same in the transfer syntaxes that DCMTK's tools write.
void add_dicom_images(const fs::path& folder, std::vector<Kind>& kinds) {
  const fs::path plain = folder / "plain.dcm", encoded = folder / "encoded.dcm";
  std::ofstream(plain, std::ios::binary) << dicom_image();
  const auto read = [](const fs::path& path) { kiban::io::read_volume(path); };
  kinds.push_back({"image.dcm", dicom_image(), read});
  for (const char* encoder : {"dcmcjpeg", "dcmcrle", "dcmcjpls"}) {
    const kiban::test::Finished finished = kiban::test::run({encoder, "-q", plain, encoded});
    if (finished.status != 0) throw std::runtime_error(std::string(encoder) + " (Debian's dcmtk): " + finished.err);
    kinds.push_back({std::string(encoder) + ".dcm", content_of(encoded), read});
  }
}

/// Logits: volumes that follow each other along a fourth axis.
void read_volumes(const fs::path& path) {
  kiban::io::ImageReader reader(path, kiban::io::ImageReader::Dimensions::volumes);
  if (kiban::element_count<3>(reader.grid().shape) * reader.volumes() <= 1 << 24)
    kiban::io::read_voxels(reader, kiban::VoxelType::float32);
}

void add_volumes(const fs::path& folder, std::vector<Kind>& kinds) {
  // A NIfTI of four slices, said to be two volumes of two: extents are 16-bit numbers from byte 40 on.
  Array<float, 3> slices({4, 6, 7});
  std::fill_n(slices.host().data, slices.size(), 1.0F);
  kiban::io::write_image(folder / "volumes.nii", kiban::Grid{slices.shape()}, slices.span());
  std::string nifti = content_of(folder / "volumes.nii");
  nifti[40] = 4;
  nifti[46] = nifti[48] = 2;
  kinds.push_back({"volumes.nii", nifti, &read_volumes});
  std::string values;
  for (int i = 0; i < 3 * 4 * 5 * 2; ++i) values.append("\0\0\x80\x3f", 4);
  kinds.push_back({"volumes.mha",
                   "ObjectType = Image\nNDims = 4\nBinaryData = True\nBinaryDataByteOrderMSB = "
                   "False\nCompressedData = False\nDimSize = 5 4 3 2\nElementType = MET_FLOAT\nElementDataFile = "
                   "LOCAL\n" +
                       values,
                   &read_volumes});
}

bool is_in_blocks(const fs::path& path) {
  BGZF* const file = bgzf_open(path.c_str(), "r");
  const bool found = file && bgzf_compression(file) == 2;
  if (file) bgzf_close(file);
  return found;
}

std::string unpacked(const fs::path& path) {
  BGZF* const file = bgzf_open(path.c_str(), "r");
  std::string bytes(1 << 20, '\0');
  bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(0, bgzf_read(file, bytes.data(), bytes.size()))));
  bgzf_close(file);
  return bytes;
}

std::size_t first_block(const fs::path& path) {
  BGZF* const file = bgzf_open(path.c_str(), "r");
  const int length = bgzf_read_block(file) == 0 ? file->block_length : 0;
  bgzf_close(file);
  return static_cast<std::size_t>(length);
}

/// In two blocks, and empty ones at the end, so that what an index points to lies within the file.
void pack(const fs::path& path, const std::string& first, const std::string& second) {
  BGZF* const file = bgzf_open(path.c_str(), "w");
  const bool written = file && bgzf_write(file, first.data(), first.size()) >= 0 && bgzf_flush(file) == 0 &&
                       bgzf_write(file, second.data(), second.size()) >= 0;
  kiban::test::require(written && bgzf_close(file) == 0, path);
  const std::string all = content_of(path), end = all.substr(all.size() - 28);  // SAM's specification, 4.1.2
  std::ofstream more(path, std::ios::binary | std::ios::app);
  for (int i = 0; i < 100; ++i) more << end;
}

/// Reads, variants, references and their indices. Where the index is changed, its file is whole, and the other way
/// round.
void add_genomes(const fs::path& of_all, std::vector<Kind>& kinds) {
  using namespace kiban;
  const fs::path folder = of_all / "genome";  // what is changed is written beside, under the same names
  fs::create_directory(folder);
  const std::string bases = "ACGTTGCAACGTTGCAAGCTTAGCATCGATCGATTACGATCGGATCATCGACTACGACTAGC";
  const fs::path reference = test::write_fasta(folder / "seed.fa.gz", {{"chr1", bases}, {"chr2", bases + bases}});
  std::string sam =
      "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:chr1\tLN:62\n@SQ\tSN:chr2\tLN:124\n@SQ\tSN:chr3\tLN:70000\n@RG\tID:g\tSM:"
      "a\n@RG\tID:h\tSM:b\n";
  for (int i = 0; i < 40; ++i)
    sam += "r" + std::to_string(i) + "\t99\tchr1\t" + std::to_string(1 + i) +
           "\t60\t2S4M1I2M1D3M\t=\t9\t30\tACGTACGTACGT\tIIIIIIIIIIII\tRG:Z:g\n";
  const auto read_reads = [reference](const fs::path& path) {
    io::ReadsFile file(path, reference);
    for (std::size_t contig = 0; contig < std::min<std::size_t>(file.contigs().size(), 3); ++contig)
      file.fetch(static_cast<std::int64_t>(contig), 0, 60, {}, [](const io::AlignedRead&) {});
  };
  const auto read_variants = [](const fs::path& path) {
    io::VariantReader reader(path);
    for (io::VariantSite site; reader.next(site);) continue;
  };
  const auto read_reference = [](const fs::path& path) {
    io::ReferenceFile file(path);
    for (std::size_t contig = 0; contig < std::min<std::size_t>(file.contigs().size(), 3); ++contig)
      file.bases(static_cast<std::int64_t>(contig), 0, std::min<std::int64_t>(file.contigs()[contig].length, 100));
  };
  // Changed as it stands, and, where it is compressed by blocks, what is inside, packed again.
  const auto add_one = [&](const fs::path& seed, const std::function<void(const fs::path&)>& read) {
    kinds.push_back({seed.filename(), content_of(seed), read});
    if (!is_in_blocks(seed)) return;
    // All of it, where headers fall first; and what comes after the block of the header, which an index counts from.
    const std::string bytes = unpacked(seed);
    const std::size_t header = first_block(seed) < bytes.size() ? first_block(seed) : bytes.size() * 3 / 4;
    for (const std::size_t kept : {std::size_t{0}, header})
      kinds.push_back(
          {(kept > 0 ? "late in " : "in ") + seed.filename().string(), bytes.substr(kept), [=](const fs::path& path) {
             const fs::path named = path.parent_path() / seed.filename();
             pack(named, bytes.substr(0, kept), content_of(path));
             read(named);
           }});
  };
  const auto add = [&](const fs::path& seed, const std::string& index,
                       const std::function<void(const fs::path&)>& read) {
    const fs::path beside = seed.string() + index;
    if (index.empty()) return add_one(seed, read);
    add_one(seed, [=](const fs::path& path) {
      fs::copy_file(beside, path.string() + index, fs::copy_options::overwrite_existing);
      read(path);
    });
    add_one(beside, [=](const fs::path& path) {
      const fs::path of = path.parent_path() / seed.filename();
      fs::copy_file(seed, of, fs::copy_options::overwrite_existing);
      read(of);
    });
  };
  for (const char* name : {"seed.bam", "seed.cram"}) {
    const fs::path path = test::write_reads(folder / name, sam, reference);
    add(path, path.extension() == ".bam" ? ".bai" : ".crai", read_reads);
  }
  const fs::path csi = test::write_reads(folder / "csi.bam", sam, reference, false);
  test::require(sam_index_build(csi.c_str(), 14) == 0, csi);
  add(csi, ".csi", read_reads);
  const std::string vcf =
      "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=62>\n##INFO=<ID=AF,Number=A,Type=Float,Description=\"x\">\n"
      "##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">\n#"
      "CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\n"
      "chr1\t10\trs1\tA\tC,<DEL>,*\t50\tPASS\tAF=0.1,0.2,0.3\tGT\t0/1\nchr1\t20\t.\tAC\tA\t.\t.\t.\tGT\t./.\n";
  for (const char* name : {"seed.vcf", "seed.bcf", "seed.vcf.gz"}) {
    const fs::path path = test::write_variants(folder / name, vcf);
    const bool is_indexed = path.extension() == ".gz";
    if (is_indexed) test::require(bcf_index_build(path.c_str(), 0) == 0, path);
    add(path, is_indexed ? ".tbi" : "", read_variants);
  }
  add(test::write_fasta(folder / "plain.fa", {{"chr1", bases}}), ".fai", read_reference);
  kinds.push_back({"seed.fa.gz.gzi", content_of(folder / "seed.fa.gz.gzi"), [=](const fs::path& path) {
                     const fs::path of = path.parent_path() / "gzi.fa.gz";
                     fs::copy_file(reference, of, fs::copy_options::overwrite_existing);
                     fs::copy_file(reference.string() + ".fai", of.string() + ".fai",
                                   fs::copy_options::overwrite_existing);
                     fs::copy_file(path, of.string() + ".gzi", fs::copy_options::overwrite_existing);
                     read_reference(of);
                   }});
  kinds.push_back({"regions.bed", "chr1\t0\t10\t1\n# x\nchr1\t20\t30\t2\n", [](const fs::path& path) {
                     io::read_numbered_bed(path, {{"chr1", 62}}, 20);
                   }});
}

std::vector<Kind> kinds(const fs::path& folder) {
  std::vector<Kind> kinds;
  Array<float, 3> values({5, 6, 7});
  for (std::int64_t i = 0; i < values.size(); ++i) values.host().data[i] = static_cast<float>(i);
  kiban::Grid grid;
  grid.shape = values.shape();
  for (const std::string extension : {".mha", ".nrrd", ".nii", ".nii.gz", ".tif", ".h5"}) {
    kiban::io::write_image(folder / ("seed" + extension), grid, values.span());
    kinds.push_back({"image" + extension, content_of(folder / ("seed" + extension)), &read_image});
    Array<std::int16_t, 3> labels(grid.shape);
    std::copy_n(values.host().data, values.size(), labels.host().data);
    kiban::io::write_image(folder / ("labels" + extension), grid, labels.span());
    kinds.push_back({"labels" + extension, content_of(folder / ("labels" + extension)), &read_image});
  }
  kiban::io::write_exchange(folder / "seed.h5", values.span(), values.span(), values.span(), {0, 1, 2, 3, 4});
  kinds.push_back({"scan.h5", content_of(folder / "seed.h5"), &read_scan});
  kiban::CircularGeometry geometry(3);
  for (kiban::CircularView& view : geometry) view.source_to_isocentre_mm = 1000;
  geometry[1].gantry_angle_deg = 90;
  kiban::io::write_rtk_xml(folder / "seed.xml", geometry);
  kinds.push_back(
      {"geometry.xml", content_of(folder / "seed.xml"), [](const fs::path& path) { kiban::io::read_rtk_xml(path); }});
  kinds.push_back({"header.dcm", dicom_seed(), [](const fs::path& path) {
                     const kiban::io::DicomReader& reader = kiban::io::dicom_reader();
                     reader.values(path, {reader.tag("Modality"), reader.tag("BodyPartExamined"), reader.tag("Rows"),
                                          reader.tag("TransferSyntaxUID")});
                   }});
  add_dicom_images(folder, kinds);
  add_volumes(folder, kinds);
  add_genomes(folder, kinds);
  kinds.push_back({"pairs.txt",
                   "2 2\nACGTN IIII! NNNN! NNNN! ++++!\nTT 55 KK KK +5\nACGTTACG\nTTT\n\n1 1\nA ! ~ ~ ~\nA\n",
                   [](const fs::path& path) {
                     kiban::io::PairHmmTextReader reader(path);
                     while (!reader.next(1).empty()) continue;
                   }});
  return kinds;
}

bool survives(const Kind& kind, const fs::path& path, const std::string& bytes, int& read, int& refused) {
  std::ofstream(path, std::ios::binary) << bytes;
  try {
    kind.read(path);
    ++read;
    return true;
  } catch (const kiban::Error& error) {
    ++refused;
    const std::string sentence = error.what();
    if (error.code() == kiban::ErrorCode::input && sentence.find('\n') == std::string::npos) return true;
    std::printf("%s: code %d: %s\n", path.c_str(), static_cast<int>(error.code()), error.what());
  } catch (const std::exception& error) {
    std::printf("%s: not a kiban::Error: %s\n", path.c_str(), error.what());
  }
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 1000;
  const std::uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  const fs::path folder = fs::temp_directory_path() / ("kiban-fuzz-" + std::to_string(getpid()));
  fs::create_directory(folder);
  std::printf("files are written to %s; one that fails stays there\n", folder.c_str());
  for (const Kind& kind : kinds(folder)) {
    Mutator mutator(seed);
    int read = 0, refused = 0;
    for (int round = 0; round < rounds; ++round) {
      if (!survives(kind, folder / kind.name, mutator.mutated(kind.seed), read, refused)) return 1;
    }
    std::printf("%-16s %d read, %d refused\n", kind.name.c_str(), read, refused);
    std::fflush(stdout);
  }
  fs::remove_all(folder);
  return 0;
}

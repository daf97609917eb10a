#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/bindings/cli/kiban_command.hpp"
#include "tests/support/sanitized.hpp"

namespace kiban::test {
namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t panel = 512;  // a view is 1 MiB

/// Line integrals that are all 0: the file is sparse and takes no room on the disk.
void write_empty_projections(const std::string& path, int views) {
  std::ofstream(path) << "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
                      << "ElementSpacing = 1 1 1\nOffset = -255.5 -255.5 0\nDimSize = " << panel << " " << panel << " "
                      << views << "\nElementType = MET_FLOAT\nElementDataFile = LOCAL\n";
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + static_cast<std::uintmax_t>(views * mib));
}

/// The largest resident memory of all programs that this one has started and waited for.
std::int64_t largest_child_bytes() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

/// Peak memory of a reconstruction as the command reports it.
std::int64_t reported_peak_bytes(int views, int size) {
  const Folder folder;
  const std::string projections = folder / "p.mha", geometry = folder / "g.xml";
  write_empty_projections(projections, views);
  EXPECT_EQ(kiban({"run", "ct.geometry", "--projections", projections, "--geometry", geometry}).status, 0);
  const Finished finished = kiban({"run", "ct.fdk", "--projections", projections, "--geometry", geometry, "--size",
                                   std::to_string(size), "--volume", folder / "volume.mha", "--json"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  return nlohmann::json::parse(finished.out)["peak_memory_bytes"].get<std::int64_t>();
}

// The bar: the volume and 256 MiB, whatever the number of views. The programs run one after the other, from the one
// that needs least: what the system saw as the largest so far is then that of the last.
TEST(Memory, IsTheVolumeAndAConstantWhateverTheNumberOfViews) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer keeps memory of its own";
  constexpr std::int64_t constant = 256 * mib;
  const std::int64_t few = reported_peak_bytes(16, 128), many = reported_peak_bytes(400, 128);
  EXPECT_LE(few, 8 * mib + constant);
  EXPECT_LE(many, 8 * mib + constant);
  EXPECT_LE(many, few + 32 * mib) << "384 views more are 384 MiB more";
  const std::int64_t large = reported_peak_bytes(16, 256);
  EXPECT_LE(large, 64 * mib + constant);
  EXPECT_LE(largest_child_bytes(), 64 * mib + constant);
  EXPECT_NEAR(static_cast<double>(largest_child_bytes()), static_cast<double>(large), 32.0 * mib);
  RecordProperty("peak_mib_16_views", static_cast<int>(few / mib));
  RecordProperty("peak_mib_400_views", static_cast<int>(many / mib));
  RecordProperty("peak_mib_256_cubed", static_cast<int>(large / mib));
}

}  // namespace
}  // namespace kiban::test

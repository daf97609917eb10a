#include <gtest/gtest.h>

#include <clocale>
#include <cstdlib>

#include "io/image/image_file.hpp"
#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"
#include "tests/support/process.hpp"

namespace kiban::io {
namespace {

/// Turns this process to a locale whose numbers have a comma, as a program with a German desktop does. False where
/// there is none and none can be made.
bool write_numbers_with_commas(const test::Scratch& scratch) {
  if (std::setlocale(LC_ALL, "de_DE.UTF-8")) return true;
  test::run({"localedef", "-i", "de_DE", "-f", "UTF-8", (scratch / "de_DE.UTF-8").string()});
  setenv("LOCPATH", scratch.folder().c_str(), 1);
  return std::setlocale(LC_ALL, "de_DE.UTF-8") != nullptr;
}

TEST(Locale, DoesNotChangeAFile) {
  const test::Scratch scratch, locales;
  const Grid grid = test::oblique_grid({2, 3, 4});
  const auto values = test::pattern(grid.shape);
  const std::vector<std::string> extensions{".mha", ".nrrd", ".nii", ".nii.gz", ".tif"};
  for (const std::string& extension : extensions) write_image(scratch / ("point" + extension), grid, values.span());
  if (!write_numbers_with_commas(locales)) GTEST_SKIP() << "the locale de_DE.UTF-8 is not there and cannot be made";
  for (const std::string& extension : extensions) {
    SCOPED_TRACE(extension);
    write_image(scratch / ("comma" + extension), grid, values.span());
    EXPECT_EQ(test::content_of(scratch / ("comma" + extension)), test::content_of(scratch / ("point" + extension)));
    if (extension == ".tif") continue;  // knows no place
    const Grid read = ImageReader(scratch / ("comma" + extension)).grid();
    for (std::size_t axis = 0; axis < 3; ++axis) {
      EXPECT_NEAR(read.spacing[axis], grid.spacing[axis], 1e-6);
      EXPECT_NEAR(read.origin[axis], grid.origin[axis], 1e-4);
    }
  }
  std::setlocale(LC_ALL, "C");
}

}  // namespace
}  // namespace kiban::io

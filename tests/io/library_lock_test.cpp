#include "io/library_lock.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "io/hdf5/exchange_file.hpp"
#include "io/image/image_file.hpp"
#include "tests/io/image/pattern.hpp"
#include "tests/io/scratch.hpp"

namespace kiban::io {
namespace {

// As a pool of processes in Python does while another thread reads.
TEST(LibraryLock, AChildOfForkFindsTheLibrariesAtRest) {
  const test::Scratch scratch;
  Grid grid;
  grid.shape = {8, 64, 64};
  const auto values = test::pattern(grid.shape);
  const auto use = [&](const std::string& name) {
    write_image(scratch / (name + ".nii"), grid, values.span());
    read_volume(scratch / (name + ".nii"));
    write_exchange(scratch / (name + ".h5"), values.span(), {}, {}, {});
    ExchangeReader(scratch / (name + ".h5")).read(0, 1, Array<float, 3>({1, 64, 64}).span());
  };
  use("first");
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) use("other");
  });
  for (int round = 0; round < 40; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);  // ends a child that waits for ever
      use("child");
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0) << "round " << round;
    if (status != 0) break;
  }
  over = true;
  other.join();
}

}  // namespace
}  // namespace kiban::io

// What the core's weak references find here, and that arrays, copies, streams and transforms work through them.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>
#include <vector>

#include "kernels/core/array.hpp"
#include "kernels/core/device.hpp"
#include "kernels/core/fft.hpp"
#include "tests/cudasim/include/cudasim/launch.h"

namespace kiban {
namespace {

const Device kSim{DeviceKind::sim, 0};

TEST(SimulatedCore, TheLibraryFindsTheHooksOfThisProgram) {
  EXPECT_EQ(parse_device("sim"), kSim);
  EXPECT_NE(Stream(kSim).native(), nullptr);
}

TEST(SimulatedCore, CopiesThereAndBackAndBetween) {
  Stream stream(kSim);
  Array<int, 2> from({7, 13}), to({7, 13});
  std::iota(from.host().data, from.host().data + 91, -5);
  Array<int, 2> there({7, 13}, kSim), beside({7, 13}, kSim);
  copy<int, 2>(stream, from.span(), there.span());
  copy<int, 2>(stream, there.span(), beside.span());
  copy<int, 2>(stream, beside.span(), to.span());
  stream.synchronize();
  for (int i = 0; i < 91; ++i) EXPECT_EQ(to.host().data[i], i - 5);
}

TEST(SimulatedCore, NewMemoryIsNanAndZeroIsZero) {
  Stream stream(kSim);
  Array<float, 1> there({100}, kSim), here({100});
  copy<float, 1>(stream, there.span(), here.span());
  stream.synchronize();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(std::isnan(here.host()(i)));
  zero(stream, there.span());
  copy<float, 1>(stream, there.span(), here.span());
  stream.synchronize();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(here.host()(i), 0);
}

TEST(SimulatedCore, SynchronizingADeviceWaitsForTheStreamsOfAll) {
  Stream theirs(kSim), ours(kSim);
  Array<float, 1> there({100}, kSim), here({100});
  zero(theirs, there.span());
  synchronize(kSim);
  copy<float, 1>(ours, there.span(), here.span());
  ours.synchronize();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(here.host()(i), 0);
  synchronize(Device{});  // nothing to wait for
}

TEST(SimulatedCore, ADeviceTooSmallSaysHowMuchWasAskedAndHowMuchIsFree) {
  try {
    Array<float, 3> huge({4096, 4096, 4096}, kSim);
    FAIL() << "256 GiB were given";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device);
    EXPECT_NE(std::string(error.what()).find("262144 MiB asked"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("free"), std::string::npos) << error.what();
  }
  Array<float, 1> small({16}, kSim);  // and the failure is not blamed on the next call
}

TEST(SimulatedCore, HostMemoryCannotPassForTheDevices) {
  Array<float, 1> here({4});
  EXPECT_THROW(here.span().on(kSim), Error);
}

TEST(SimulatedCore, TransformsAreDeferredAndMatchTheDefinition) {
  constexpr std::int64_t kRows = 3, kLength = 20, kBins = kLength / 2 + 1;
  Stream stream(kSim);
  Array<float, 2> rows({kRows, kLength}), back({kRows, kLength});
  for (int i = 0; i < kRows * kLength; ++i) rows.host().data[i] = static_cast<float>(std::sin(i * i));
  Array<std::complex<float>, 2> spectra({kRows, kBins}), spectra_there({kRows, kBins}, kSim);
  Array<float, 2> rows_there({kRows, kLength}, kSim);
  {
    const RealFft fft(stream, kRows, kLength);
    copy<float, 2>(stream, rows.span(), rows_there.span());
    fft.forward(stream, rows_there.span(), spectra_there.span());
    copy<std::complex<float>, 2>(stream, spectra_there.span(), spectra.span());
    fft.inverse(stream, spectra_there.span(), rows_there.span());
    copy<float, 2>(stream, rows_there.span(), back.span());
    stream.synchronize();
  }
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t k = 0; k < kBins; ++k) {
      std::complex<double> sum = 0;
      for (std::int64_t i = 0; i < kLength; ++i)
        sum += std::polar<double>(rows.host()(row, i), -2 * std::numbers::pi * static_cast<double>(i * k) / kLength);
      EXPECT_NEAR(std::abs(sum - std::complex<double>(spectra.host()(row, k))), 0, 1e-5);
    }
    for (std::int64_t i = 0; i < kLength; ++i) EXPECT_NEAR(back.host()(row, i), kLength * rows.host()(row, i), 1e-5);
  }
}

}  // namespace
}  // namespace kiban

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <limits>
#include <thread>

#include "io/image/image_file.hpp"
#include "tests/bindings/cli/kiban_command.hpp"

namespace kiban::test {
namespace {

/// Fails with this status and leaves the folder as it was.
void expect_refusal(const SmallScan& scan, const std::vector<std::string>& more, int status, const std::string& part) {
  const std::vector<std::string> before = scan.folder.names();
  expect_failure(scan.fdk(more), status, part);
  EXPECT_EQ(scan.folder.names(), before);
}

TEST(Failures, UsageIsTwo) {
  const SmallScan scan;
  const std::string out = scan.folder / "out.mha";
  expect_failure({"run", "ct.fdx"}, 2, "there is no operation ct.fdx; did you mean ct.fdk?");
  expect_refusal(scan, {"--volume", out, "--spacing", "1"}, 2,
                 "there is no option --spacing; did you mean --spacing-mm?");
  expect_refusal(scan, {"--volume", out, "surplus"}, 2, "unexpected argument surplus");
  expect_refusal(scan, {}, 2, "volume must be given");
  expect_refusal(scan, {"--volume"}, 2, "--volume");
  expect_refusal(scan, {"--volume", out, "--cutoff", "1.5"}, 2, "cutoff is 1.5, but must be above 0 and at most 1");
  expect_refusal(scan, {"--volume", out, "--size", "0"}, 2, "size is 0, but must be 1 to 16384");
  expect_refusal(scan, {"--volume", out, "--size", "4", "4"}, 2, "one whole number or three");
  expect_refusal(scan, {"--volume", out, "--spacing-mm", "-1"}, 2, "spacing-mm is -1 mm");
  expect_refusal(scan, {"--volume", out, "--window", "han"}, 2, "did you mean hann?");
  expect_refusal(scan, {"--volume", out, "--threads", "-1"}, 2, "threads is -1");
  expect_refusal(scan, {"--volume", out, "--simd", "mmx"}, 2, "mmx");
  expect_refusal(scan, {"--volume", out, "--device", "gpu"}, 2, "gpu");
  expect_refusal(scan, {"--volume", scan.projections}, 2, "are the same file");
}

TEST(Failures, ADeviceThatIsNotThereIsFour) {
  const SmallScan scan;
  expect_refusal(scan, {"--volume", scan.folder / "out.mha", "--device", "cuda:99"}, 4, "CUDA");
  expect_refusal(scan, {"--volume", scan.folder / "out.mha", "--device", "sim"}, 4, "simulator");
}

TEST(Failures, BadInputIsThree) {
  const SmallScan scan;
  const std::string out = scan.folder / "out.mha";
  const auto fdk = [&](const std::string& projections, const std::string& geometry) {
    return std::vector<std::string>{"run",        "ct.fdk", "--projections", projections,
                                    "--geometry", geometry, "--volume",      out};
  };
  expect_failure(fdk(scan.folder / "none.mha", scan.geometry), 3, "none.mha");
  expect_failure(fdk(scan.projections, scan.folder / "none.xml"), 3, "none.xml");
  expect_failure(fdk(scan.geometry, scan.geometry), 3, "g.xml");
  expect_failure(fdk(scan.projections, scan.projections), 3, "p.mha");

  ASSERT_EQ(kiban({"run", "ct.geometry", "--views", "25", "--geometry", scan.folder / "other.xml"}).status, 0);
  expect_failure(fdk(scan.projections, scan.folder / "other.xml"), 3, "describes 25 views");
  expect_failure(fdk(scan.projections, scan.folder / "other.xml"), 3, "has 24");

  std::filesystem::copy_file(scan.projections, scan.folder / "short.mha");
  std::filesystem::resize_file(scan.folder / "short.mha", 4000);
  expect_failure(fdk(scan.folder / "short.mha", scan.geometry), 3, "short.mha");
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_EQ(scan.folder.names(), (std::vector<std::string>{"g.xml", "other.xml", "p.mha", "short.mha"}));
}

TEST(Failures, ValuesThatAreNoNumbersAreNamed) {
  const SmallScan scan;
  Volume stack = io::read_volume(scan.projections);
  stack.values.host()(17, 5, 3) = std::numeric_limits<float>::quiet_NaN();
  io::write_image(scan.folder / "nan.mha", stack.grid, stack.values.span());
  const std::vector<std::string> before = scan.folder.names();
  const std::vector<std::string> command = {"run",        "ct.fdk",      "--projections", scan.folder / "nan.mha",
                                            "--geometry", scan.geometry, "--volume",      scan.folder / "out.mha"};
  for (const char* part : {"nan.mha", "view 17", "row 5", "column 3"}) expect_failure(command, 3, part);
  EXPECT_EQ(scan.folder.names(), before);
}

TEST(Failures, AMillionMillionVoxelsAreRefusedAtOnce) {
  const SmallScan scan;
  for (const char* format : {"out.mha", "out.nii.gz"})
    expect_refusal(scan, {"--volume", scan.folder / format, "--size", "10000"}, 3, "memory");
}

TEST(Failures, OutputsThatCannotBeWritten) {
  const SmallScan scan;
  expect_refusal(scan, {"--volume", scan.folder / "nowhere/out.mha"}, 3, "nowhere");
  expect_refusal(scan, {"--volume", scan.folder / "out.xyz"}, 3, "out.xyz");
  expect_refusal(scan, {"--volume", scan.folder / "out.mha", "--preview", scan.folder / "nowhere/out.png"}, 3,
                 "nowhere");
  expect_refusal(scan, {"--volume", scan.folder.path().string()}, 3, scan.folder.path().string());
}

/// Runs with a limit on the size of a file, which a write then meets as it would meet a full disk.
Finished with_file_limit(rlim_t bytes, const std::vector<std::string>& arguments) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit limited = before;
  limited.rlim_cur = bytes;
  setrlimit(RLIMIT_FSIZE, &limited);  // inherited by the child
  Process process(kiban_command(arguments));
  setrlimit(RLIMIT_FSIZE, &before);
  return process.wait();
}

TEST(Failures, AFullDiskLeavesNothing) {
  const SmallScan scan;
  const std::vector<std::string> before = scan.folder.names();
  for (const char* format : {"out.mha", "out.nrrd", "out.nii", "out.tif", "out.h5"}) {
    const Finished finished = with_file_limit(20000, scan.fdk({"--size", "32", "--volume", scan.folder / format}));
    EXPECT_EQ(finished.status, 3) << format << ": " << finished.err;
    EXPECT_NE(finished.err.find(format), std::string::npos) << finished.err;
    expect_one_line(finished);
    EXPECT_EQ(scan.folder.names(), before) << format;
  }
}

TEST(Failures, JsonErrorsAreOneObject) {
  const SmallScan scan;
  const std::vector<std::vector<std::string>> commands = {
      {"run", "ct.fdx", "--json"},
      {"nonsense", "--json"},
      scan.fdk({"--volume", scan.folder / "out.mha", "--cutoff", "7", "--json"}),
      scan.fdk({"--volume", scan.folder / "nowhere/out.mha", "--json"}),
      scan.fdk({"--volume", scan.folder / "out.mha", "--device", "cuda:99", "--json"})};
  for (const std::vector<std::string>& command : commands) {
    const Finished finished = kiban(command);
    ASSERT_TRUE(nlohmann::json::accept(finished.out)) << finished.out;
    const nlohmann::json error = nlohmann::json::parse(finished.out)["error"];
    EXPECT_EQ(error["code"], finished.status);
    EXPECT_EQ("kiban: " + error["message"].get<std::string>() + "\n", finished.err);
  }
}

TEST(Failures, StandardOutputThatCannotBeWritten) {
  const Finished finished = run({"sh", "-c", "\"$0\" ops > /dev/full", KIBAN_COMMAND});
  EXPECT_EQ(finished.status, 1);
  EXPECT_NE(finished.err.find("standard output"), std::string::npos);
}

/// Starts a run that takes long, and sends the signals once its partial output is there.
Finished interrupt(const Folder& folder, const std::vector<int>& signals) {
  Process process(kiban_command({"run", "ct.simulate", "--phantom", "shepp-logan", "--views", "20000", "--columns",
                                 "64", "--projections", folder / "p.mha", "--geometry", folder / "g.xml"}));
  while (process.running() && folder.names().empty()) std::this_thread::yield();
  for (const int signal : signals) process.signal(signal);
  return process.wait();
}

TEST(Interrupt, LeavesNothingAndSaysSo) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const Folder folder;
    const Finished finished = interrupt(folder, {signal});
    EXPECT_EQ(finished.status, 128 + signal) << finished.err;
    EXPECT_NE(finished.err.find("stopped by a signal"), std::string::npos) << finished.err;
    EXPECT_EQ(folder.names(), std::vector<std::string>{});
  }
}

TEST(Interrupt, StopsACompression) {
  const SmallScan scan;
  const std::vector<std::string> before = scan.folder.names();
  Process process(kiban_command(scan.fdk({"--size", "256", "--volume", scan.folder / "out.nii.gz"})));
  const auto compresses = [&] {  // what is to be compressed is there
    return std::ranges::any_of(scan.folder.names(), [](const std::string& name) { return name.ends_with(".nii"); });
  };
  while (process.running() && !compresses()) std::this_thread::yield();
  process.signal(SIGINT);
  const Finished finished = process.wait();
  EXPECT_EQ(finished.status, 128 + SIGINT) << finished.err;
  EXPECT_EQ(scan.folder.names(), before);
}

TEST(Interrupt, ASecondSignalEndsItAtOnce) {
  const Folder folder;
  const Finished finished = interrupt(folder, {SIGINT, SIGINT, SIGTERM});
  EXPECT_TRUE(finished.status == 128 + SIGINT || finished.status == 128 + SIGTERM) << finished.status;
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
}

}  // namespace
}  // namespace kiban::test

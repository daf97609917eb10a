#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <limits>
#include <set>

#include "engine/operations/geometry_port.hpp"
#include "engine/operations/scan_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/volume_port.hpp"
#include "engine/registry.hpp"
#include "engine/runner.hpp"
#include "io/image/image_file.hpp"
#include "tests/engine/operations/raw_scan.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sanitized.hpp"

namespace kiban::engine {
namespace {

using Texts = std::map<std::string, std::string>;

const Operation& operation(const std::string& name) {
  static const Registry registry(standard_operations());
  return registry.find(name);
}

void run_alone(Device device, const std::string& name, const Texts& given) {
  Stream stream(device, 1);
  Progress progress;
  run(operation(name), request_from_text(operation(name), given), stream, progress);
}

/// Works of one operation, as an executor has them between loading and storing.
struct Batch {
  explicit Batch(const std::string& name) : called(operation(name)) {}

  void add(const Texts& given, const Progress& with = {}) {
    works.push_back(called.load(request_from_text(called, given)));
    progress.push_back(std::make_unique<Progress>(with));
  }
  void run(Stream stream) {
    std::vector<Work*> pointers;
    std::vector<Progress*> told;
    for (std::size_t i = 0; i < works.size(); ++i) {
      pointers.push_back(works[i].get());
      told.push_back(progress[i].get());
    }
    failures.assign(works.size(), nullptr);
    called.run_together(pointers, stream, told, failures);
  }
  void store() {
    for (std::size_t i = 0; i < works.size(); ++i)
      if (!failures[i]) works[i]->store(*progress[i]);
  }
  /// What the failure of one says: empty if it did not fail.
  std::string sentence(std::size_t i) const {
    try {
      if (failures[i]) std::rethrow_exception(failures[i]);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  const Operation& called;
  std::vector<std::unique_ptr<Work>> works;
  std::vector<std::unique_ptr<Progress>> progress;
  std::vector<std::exception_ptr> failures;
};

class BatchOn : public testing::TestWithParam<Device> {
 protected:
  static constexpr std::int64_t kViews = 40, kRows = 10, kColumns = 12;

  /// `count` scans of one geometry, each with noise of its own; those after the first are made from it.
  explicit BatchOn(std::size_t count = 16) {
    run_alone(Device{}, "ct.simulate",
              {{"phantom", "shepp-logan"},
               {"views", std::to_string(kViews)},
               {"columns", std::to_string(kColumns)},
               {"rows", std::to_string(kRows)},
               {"projections", folder_ / "p.mha"},
               {"geometry", folder_ / "g.xml"}});
    for (std::size_t i = 0; i < count; ++i) write_scan(i, [](float&, std::int64_t) {});
  }
  /// Changes the value at every index before it is written.
  template <class Change>
  void write_scan(std::size_t i, const Change& change) {
    Volume stack = io::read_volume(folder_ / "p.mha");
    float* values = stack.values.host().data;
    const std::vector<float> noise = test::uniform(stack.values.size(), static_cast<unsigned>(i));
    for (std::int64_t k = 0; k < stack.values.size(); ++k) {
      values[k] += noise[static_cast<std::size_t>(k)];
      change(values[k], k);
    }
    io::write_image(scan(i), stack.grid, stack.values.span());
  }
  std::string scan(std::size_t i) const { return folder_ / ("p" + std::to_string(i) + ".mha"); }
  std::string volume(std::size_t i) const { return folder_ / ("v" + std::to_string(i) + ".mha"); }
  Texts job(std::size_t i) const {
    return {{"projections", scan(i)}, {"geometry", folder_ / "g.xml"},
            {"volume", volume(i)},    {"size", "12,10,14"},
            {"mu-water", "0.02"},     {"window", "hann"}};
  }
  /// The files' bytes after each ran alone; the files are gone.
  std::vector<std::string> results_alone(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) run_alone(GetParam(), "ct.fdk", job(i));
    return taken_results(count);
  }
  std::vector<std::string> taken_results(std::size_t count) {
    std::vector<std::string> results;
    for (std::size_t i = 0; i < count; ++i) {
      results.push_back(test::read_text(volume(i)));
      std::filesystem::remove(volume(i));
    }
    return results;
  }

  test::Folder folder_;
};
INSTANTIATE_TEST_SUITE_P(Devices, BatchOn, testing::ValuesIn(test::devices_under_test()),
                         [](const auto& device) { return test::test_name(device.param); });

TEST_P(BatchOn, GivesTheBytesOfJobsThatRunAlone) {
  const std::vector<std::string> alone = results_alone(16);
  EXPECT_NE(alone[0], alone[1]);
  for (const std::size_t count : {1, 3, 16})
    for (const int threads : {1, 2})
      for (const bool prefetched : {false, true}) {
        Batch batch("ct.fdk");
        for (std::size_t i = 0; i < count; ++i) {
          batch.add(job(i));
          if (prefetched) batch.works[i]->prefetch(*batch.progress[i]);
        }
        batch.run(Stream(GetParam(), threads));
        batch.store();
        const std::vector<std::string> together = taken_results(count);
        for (std::size_t i = 0; i < count; ++i) {
          EXPECT_EQ(batch.sentence(i), "");
          EXPECT_TRUE(together[i] == alone[i]) << "job " << i << " of " << count << " on " << threads << " threads";
          EXPECT_GT(batch.progress[i]->seconds("compute"), 0);
          EXPECT_GT(batch.progress[i]->seconds("read"), 0);
        }
      }
}

TEST_P(BatchOn, OneBadScanAmongSixteenFailsAlone) {
  const std::vector<std::string> alone = results_alone(16);
  const std::int64_t bad = (35 * kRows + 3) * kColumns + 4;  // a view of the second block
  write_scan(5, [bad](float& value, std::int64_t at) {
    if (at == bad) value = std::numeric_limits<float>::quiet_NaN();
  });
  std::string sentence_alone;
  try {
    run_alone(GetParam(), "ct.fdk", job(5));
  } catch (const Error& error) {
    sentence_alone = error.what();
  }
  EXPECT_NE(sentence_alone.find("p5.mha"), std::string::npos);
  EXPECT_NE(sentence_alone.find("35"), std::string::npos) << "names the view";
  for (const bool prefetched : {false, true}) {
    Batch batch("ct.fdk");
    for (std::size_t i = 0; i < 16; ++i) {
      batch.add(job(i));
      if (prefetched && i != 5) batch.works[i]->prefetch(*batch.progress[i]);
    }
    batch.run(Stream(GetParam(), 2));
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(batch.sentence(i), i == 5 ? sentence_alone : "");
    batch.store();
    batch.works.clear();
    const std::vector<std::string> together = taken_results(16);
    for (std::size_t i = 0; i < 16; ++i) EXPECT_TRUE(together[i] == (i == 5 ? "" : alone[i])) << i;
  }
  // What a prefetch finds is what a run would find.
  Batch batch("ct.fdk");
  batch.add(job(5));
  try {
    batch.works[0]->prefetch(*batch.progress[0]);
    ADD_FAILURE() << "a NaN was prefetched";
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), sentence_alone);
  }
}

/// The same for what shows at the end, for an output that cannot be written, and for a job that is called off.
TEST_P(BatchOn, OthersGoOnWhereSomeFail) {
  const std::vector<std::string> alone = results_alone(6);
  write_scan(1, [](float& value, std::int64_t) { value = 3e38F; });  // finite, and nothing that comes of it is
  Batch batch("ct.fdk");
  for (std::size_t i = 0; i < 6; ++i) {
    Texts given = job(i);
    if (i == 2) given["volume"] = folder_ / "no such folder/v.mha";
    const auto reached = std::make_shared<double>(0);
    const auto listen = [reached](std::string_view, double fraction) { *reached = fraction; };
    batch.add(given, Progress(listen, [reached, i] { return i == 4 && *reached > 0.3; }));
  }
  batch.run(Stream(GetParam(), 2));
  EXPECT_NE(batch.sentence(1).find("so large"), std::string::npos) << batch.sentence(1);
  EXPECT_NE(batch.sentence(2).find("no such folder"), std::string::npos) << batch.sentence(2);
  EXPECT_THROW(std::rethrow_exception(batch.failures[4]), Cancelled);
  batch.store();
  batch.works.clear();
  const std::vector<std::string> together = taken_results(6);
  for (const std::size_t i : {0, 3, 5}) EXPECT_TRUE(together[i] == alone[i]) << i;
  for (const std::size_t i : {1, 2, 4}) EXPECT_TRUE(together[i].empty()) << i;
}

TEST_P(BatchOn, AllMayFail) {
  Batch batch("ct.fdk");
  for (std::size_t i = 0; i < 3; ++i) batch.add(job(i), Progress({}, [] { return true; }));
  batch.run(Stream(GetParam(), 2));
  for (const std::exception_ptr& failure : batch.failures) EXPECT_THROW(std::rethrow_exception(failure), Cancelled);
}

TEST_P(BatchOn, TakesMoreJobsThanALaunch) {
  const std::vector<std::string> alone = results_alone(3);
  Batch batch("ct.fdk");
  for (std::size_t i = 0; i < 19; ++i) {
    Texts given = job(i % 3);
    given["volume"] = volume(i);
    batch.add(given);
  }
  batch.run(Stream(GetParam(), 2));
  batch.store();
  const std::vector<std::string> together = taken_results(19);
  for (std::size_t i = 0; i < 19; ++i) EXPECT_TRUE(together[i] == alone[i % 3]) << i;
}

TEST_P(BatchOn, RefusesMixedKeys) {
  Batch batch("ct.fdk");
  batch.add(job(0));
  Texts other = job(1);
  other["window"] = "hamming";
  batch.add(other);
  EXPECT_THROW(batch.run(Stream(GetParam(), 2)), Error);
  batch.works.clear();
  for (std::size_t i : {0, 1}) EXPECT_FALSE(std::filesystem::exists(volume(i)));
}

TEST_P(BatchOn, RunsRawScansTogetherWhoseCentreIsKnown) {
  const auto raw_job = [&](std::size_t i) {
    return Texts{{"scan", folder_ / ("s" + std::to_string(i) + ".h5")},
                 {"volume", volume(i)},
                 {"centre", "20.5"},
                 {"size", "20,2,20"}};
  };
  for (std::size_t i = 0; i < 3; ++i) {
    test::write_raw_scan(raw_job(i).at("scan"), 40, 500 + 300 * static_cast<float>(i));
    run_alone(GetParam(), "ct.fbp", raw_job(i));
  }
  const std::vector<std::string> alone = taken_results(3);
  for (const bool prefetched : {false, true}) {
    Batch batch("ct.fbp");
    for (std::size_t i = 0; i < 3; ++i) {
      batch.add(raw_job(i));
      if (prefetched) batch.works[i]->prefetch(*batch.progress[i]);
    }
    batch.run(Stream(GetParam(), 2));
    batch.store();
    const std::vector<std::string> together = taken_results(3);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(together[i] == alone[i]) << i;
  }
}

TEST_P(BatchOn, FindsTheCentreOfARawScanThatWasPrefetched) {
  test::write_raw_scan(folder_ / "s.h5", 40, 990);
  const Texts given{{"scan", folder_ / "s.h5"}, {"volume", volume(0)}};
  run_alone(GetParam(), "ct.fbp", given);
  const std::vector<std::string> alone = taken_results(1);
  const std::unique_ptr<Work> work = operation("ct.fbp").load(request_from_text(operation("ct.fbp"), given));
  EXPECT_EQ(work->plan(GetParam()).batch_key, "") << "the geometry is not known yet";
  EXPECT_EQ(work->plan(GetParam()).prefetch_bytes, 40U * 2 * 48 * sizeof(float));
  Stream stream(GetParam(), 2);
  Progress progress;
  work->prefetch(progress);
  work->run(stream, progress);
  work->store(progress);
  EXPECT_TRUE(taken_results(1) == alone);
}

/// Works of one operation share exactly where geometry, grid and options are the same; not what surrounds them.
TEST(BatchKey, IsOfGeometryGridAndOptions) {
  const CircularGeometry scan = ct::circular_scan(5, 400, 800);
  const std::vector<float> values = test::uniform(5 * 6 * 7, 1);
  const auto key = [&](const CircularGeometry& geometry, double pixel_mm, const Texts& parameters) {
    Request request;
    const MemoryVolume stack{{values.data(), {5, 6, 7}}, Grid::centred({5, 6, 7}, {pixel_mm, pixel_mm, 1})};
    request.ports = {{"projections", Binding::memory(stack)},
                     {"geometry", Binding::memory(ScanGeometry(geometry))},
                     {"volume", Binding::memory(std::make_shared<MemoryResult>())}};
    request.parameters = Values::from_text(operation("ct.fdk").parameters, parameters);
    return operation("ct.fdk").load(request)->plan(Device{}).batch_key;
  };
  const std::string same = key(scan, 2, {});
  EXPECT_NE(same, "");
  EXPECT_EQ(key(scan, 2, {}), same);
  EXPECT_EQ(key(scan, 2, {{"patient-position", "HFS"}}), same);
  EXPECT_EQ(key(scan, 2, {{"preview-white", "3"}}), same);
  CircularGeometry other = scan;
  other[4].gantry_angle_deg += 1e-9;
  std::set<std::string> keys{same, key(other, 2, {}), key(scan, 2.000000001, {})};
  for (const Texts& parameters : {Texts{{"size", "6"}}, Texts{{"spacing-mm", "3"}}, Texts{{"origin-mm", "-5"}},
                                  Texts{{"window", "hann"}}, Texts{{"cutoff", "0.9"}}, Texts{{"no-mask", "true"}},
                                  Texts{{"mu-water", "0.02"}}, Texts{{"interpolation", "texture"}}})
    keys.insert(key(scan, 2, parameters));
  EXPECT_EQ(keys.size(), 11U);
}

std::size_t bytes_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// Asked at every step of a run: the most that was in use.
TEST(BatchMemory, StaysWithinThePlans) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer allocates for itself, and mallinfo2 knows nothing of it";
  const std::int64_t views = 64, pixels = 160, n = 96;
  const std::vector<float> values = test::uniform(views * pixels * pixels, 1);
  const Grid grid = Grid::centred({views, pixels, pixels}, {1, 1, 1});
  test::Folder folder;
  io::write_image(folder / "p.mha", grid, {values.data(), grid.shape});
  for (const std::size_t count : {1, 5}) {
    Batch batch("ct.fdk");
    std::size_t most = 0, planned = 0;
    const std::size_t before = bytes_in_use();
    for (std::size_t i = 0; i < count; ++i) {
      Request request;
      request.ports = {{"projections", std::filesystem::path(folder / "p.mha")},
                       {"geometry", Binding::memory(ScanGeometry(ct::circular_scan(views, 400, 800)))},
                       {"volume", Binding::memory(std::make_shared<MemoryResult>())}};
      request.parameters = Values::from_text(batch.called.parameters, {{"size", std::to_string(n)}});
      batch.works.push_back(batch.called.load(request));
      batch.progress.push_back(std::make_unique<Progress>(
          [&most](std::string_view, double) { most = std::max(most, bytes_in_use()); }, Progress::StopRequest()));
      const Plan plan = batch.works.back()->plan(Device{});
      planned += plan.host_bytes + plan.device_bytes + plan.prefetch_bytes;
      EXPECT_EQ(plan.prefetch_bytes, values.size() * sizeof(float));
      batch.works.back()->prefetch(*batch.progress.back());
    }
    batch.run(Stream(Device{}, 2));
    EXPECT_EQ(batch.sentence(0), "");
    constexpr std::size_t kSmallThings = 1 << 20;
    EXPECT_LE(most - before, planned + kSmallThings) << count;
    EXPECT_GT(most - before, planned / 2) << "the plan asks for far more than is used: " << count;
  }
}

}  // namespace
}  // namespace kiban::engine

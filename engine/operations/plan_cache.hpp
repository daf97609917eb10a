#pragma once
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "kernels/ct/filtered_backprojection.hpp"

namespace kiban::engine {

/// Keeps the plans that were used last, so that jobs of equal geometry that come one by one share them, too. For any
/// number of threads.
class PlanCache {
 public:
  using Plan = std::shared_ptr<const ct::FilteredBackprojectionPlan>;

  /// `most_bytes`: of all plans together; a larger one is not kept.
  explicit PlanCache(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  /// The plan of this key, or else what `make` gives. Errors: those of `make`, after which nothing is kept.
  Plan find_or_make(const std::string& key, const std::function<Plan()>& make);

  std::size_t bytes() const;
  std::size_t size() const;

 private:
  struct Entry {
    std::string key;
    Plan plan;
  };
  Plan find(const std::string& key);
  void keep(const std::string& key, const Plan& plan);

  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  ///< used last, first
  std::size_t bytes_ = 0;
};

/// The plan for this geometry, grid and options on the stream's device; the process keeps up to 64 MiB of them.
/// Errors: those of ct::FilteredBackprojectionPlan · what the stream's check throws.
PlanCache::Plan shared_plan(Stream& stream, const ct::Geometry& geometry, const Grid& grid,
                            const ct::FilteredBackprojectionOptions& options);

}  // namespace kiban::engine

#include "engine/operations/plan_cache.hpp"

#include <algorithm>

#include "engine/operations/reconstruction_key.hpp"
#include "kernels/core/simd.hpp"

namespace kiban::engine {

PlanCache::Plan PlanCache::find_or_make(const std::string& key, const std::function<Plan()>& make) {
  if (const Plan found = find(key)) return found;
  // Not under the lock: two threads may make the same plan, and none waits for another's.
  const Plan made = make();
  keep(key, made);
  return made;
}

PlanCache::Plan PlanCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return found->plan;
}

void PlanCache::keep(const std::string& key, const Plan& plan) {
  std::list<Entry> dropped;  // outlives the lock: to free a device's memory may take long
  const std::lock_guard lock(mutex_);
  if (plan->bytes() > most_bytes_ || std::ranges::find(entries_, key, &Entry::key) != entries_.end()) return;
  entries_.push_front({key, plan});
  bytes_ += plan->bytes();
  while (bytes_ > most_bytes_) {
    bytes_ -= entries_.back().plan->bytes();
    dropped.splice(dropped.begin(), entries_, std::prev(entries_.end()));
  }
}

std::size_t PlanCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::size_t PlanCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

PlanCache::Plan shared_plan(Stream& stream, const ct::Geometry& geometry, const Grid& grid,
                            const ct::FilteredBackprojectionOptions& options) {
  // Never destroyed: at the end of the process the device's own library may be gone before.
  static PlanCache& plans = *new PlanCache(std::size_t{64} << 20);
  const std::string key =
      name(stream.device()) + ", " + instruction_set() + ": " + reconstruction_key(geometry, grid, options);
  return plans.find_or_make(
      key, [&] { return std::make_shared<const ct::FilteredBackprojectionPlan>(stream, geometry, grid, options); });
}

}  // namespace kiban::engine

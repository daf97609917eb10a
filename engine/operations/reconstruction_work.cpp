#include "engine/operations/reconstruction_work.hpp"

#include <algorithm>
#include <utility>

#include "engine/operations/patient_position.hpp"
#include "engine/operations/plan_cache.hpp"
#include "engine/operations/reconstruction_key.hpp"
#include "kernels/core/error.hpp"

namespace kiban::engine {

/// Reconstructions of one geometry, grid and options on their way: block by block of views, each block of all works
/// together. What fails in one work ends that one alone.
class ReconstructionBatch {
 public:
  struct Member {
    ReconstructionWork* work;
    Progress* progress;
    std::exception_ptr* failure;
  };

  ReconstructionBatch(Stream& stream, std::vector<Member> members) : stream_(stream), members_(std::move(members)) {}

  void run() {
    ct::Geometry geometry;
    each([&](Member& member) { geometry = member.work->open(stream_, *member.progress); });
    each([](Member& member) { member.progress->enter("compute"); });
    std::vector<Span<float, 3>> volumes;
    each([&](Member& member) { volumes.push_back(member.work->volume_->part(0, member.work->settings_.grid.nz())); });
    std::erase_if(members_, [](const Member& member) { return *member.failure != nullptr; });
    if (members_.empty()) return;
    const ReconstructionSettings& settings = members_.front().work->settings_;
    backprojection_.emplace(stream_, shared_plan(stream_, geometry, settings.grid, settings.options), volumes);
    add_all_views();
    backprojection_->finish();
    each([&](Member& member) {
      require_finite_result(stream_, volumes[index_of(member)], member.work->line_integrals_->name());
    });
  }

 private:
  /// Calls it for those that have not failed.
  template <class Step>
  void each(const Step& step) {
    for (Member& member : members_) {
      if (*member.failure) continue;
      try {
        step(member);
      } catch (...) {
        *member.failure = std::current_exception();
        if (backprojection_) backprojection_->give_up(index_of(member));
      }
    }
  }

  std::size_t index_of(const Member& member) const { return static_cast<std::size_t>(&member - members_.data()); }

  void add_all_views() {
    const std::int64_t views = members_.front().work->views(), at_a_time = members_.front().work->views_at_a_time();
    std::vector<Span<const float, 3>> parts(members_.size());
    for (std::int64_t first = 0; first < views; first += at_a_time) {
      const std::int64_t count = std::min(at_a_time, views - first);
      each([&](Member& member) {
        parts[index_of(member)] = member.work->line_integrals_->read(stream_, *member.progress, first, count);
      });
      each([](Member& member) { member.progress->enter("compute"); });
      if (std::ranges::all_of(members_, [](const Member& member) { return *member.failure != nullptr; })) return;
      backprojection_->add(parts);
      each([&](Member& member) {
        member.progress->report(static_cast<double>(first + count) / static_cast<double>(views));
      });
    }
  }

  Stream& stream_;
  std::vector<Member> members_;
  std::optional<ct::FilteredBackprojection> backprojection_;
};

ReconstructionWork::ReconstructionWork(std::unique_ptr<LineIntegrals> line_integrals, const Request& request,
                                       const ReconstructionSettings& settings)
    : line_integrals_(std::move(line_integrals)),
      request_(request),
      planned_(line_integrals_->planned_geometry()),
      settings_(settings) {
  if (request.uses("preview")) io::require_preview_name(request.path("preview"));
}

Plan ReconstructionWork::plan(Device device) const {
  const std::int64_t voxels = element_count<3>(settings_.grid.shape);
  const std::size_t volume_bytes = static_cast<std::size_t>(voxels) * sizeof(float);
  Plan plan;
  plan.updates = voxels * views();
  plan.host_bytes = static_cast<std::size_t>(views_at_a_time() * planned_.rows * planned_.columns) * sizeof(float) +
                    line_integrals_->host_bytes();
  if (device.kind != DeviceKind::cpu) plan.host_bytes += volume_bytes;
  plan.device_bytes = volume_bytes + line_integrals_->device_bytes() +
                      ct::FilteredBackprojection::workspace_bytes(device, planned_, settings_.grid, settings_.options);
  plan.prefetch_bytes = line_integrals_->prefetch_bytes();
  plan.batch_key = batch_key();
  return plan;
}

std::string ReconstructionWork::batch_key() const {
  return line_integrals_->knows_its_geometry() ? reconstruction_key(planned_, settings_.grid, settings_.options) : "";
}

void ReconstructionWork::run(Stream& stream, Progress& progress) {
  std::exception_ptr failure;
  ReconstructionBatch(stream, {{this, &progress, &failure}}).run();
  if (failure) std::rethrow_exception(failure);
}

ct::Geometry ReconstructionWork::open(Stream& stream, Progress& progress) {
  volume_.emplace(request_, "volume", rotated(settings_.to_patient, settings_.grid), stream);
  if (request_.uses("preview")) preview_.emplace(request_.path("preview"));
  return line_integrals_->geometry(stream, progress);
}

void ReconstructionWork::store(Progress& progress) {
  progress.enter("write");
  progress.report(1);  // the last place to stop before the outputs have their names
  volume_->put();      // whole: formats that cannot be streamed would keep a copy of parts
  if (preview_) io::write_preview(preview_->temporary_path(), settings_.grid, volume_->on_host(), settings_.grey_range);
  io::commit_together({volume_->finish(progress), preview_ ? &*preview_ : nullptr});
  volume_->hand_over();
}

std::int64_t ReconstructionWork::views_at_a_time() const {
  return std::min(views(), slices_at_a_time({1, planned_.rows, planned_.columns}));
}

void reconstruct_together(std::span<Work* const> works, Stream& stream, std::span<Progress* const> progress,
                          std::span<std::exception_ptr> failures) {
  if (works.size() != progress.size() || works.size() != failures.size())
    throw Error(ErrorCode::internal, "a batch needs one progress and one place for a failure for each of its works");
  std::vector<ReconstructionBatch::Member> members;
  for (std::size_t i = 0; i < works.size(); ++i)
    members.push_back({dynamic_cast<ReconstructionWork*>(works[i]), progress[i], &failures[i]});
  std::optional<std::string> common;
  for (const ReconstructionBatch::Member& member : members) {
    const std::string key = member.work ? member.work->batch_key() : "";
    if (key.empty() || common.value_or(key) != key)
      throw Error(ErrorCode::internal, "works of different batch keys, or of none, are to run together");
    common = key;
  }
  for (std::size_t first = 0; first < members.size(); first += ct::PanelBlock::kMostScans) {
    const auto end = std::min(first + static_cast<std::size_t>(ct::PanelBlock::kMostScans), members.size());
    ReconstructionBatch(stream, {members.begin() + static_cast<std::ptrdiff_t>(first),
                                 members.begin() + static_cast<std::ptrdiff_t>(end)})
        .run();
  }
}

}  // namespace kiban::engine

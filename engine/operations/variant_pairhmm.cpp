#include <algorithm>
#include <optional>

#include "engine/operations/pairs_port.hpp"
#include "engine/operations/standard.hpp"

namespace kiban::engine {
namespace {

/// So many pairs fill any device, and are little to hold.
constexpr std::int64_t kPairsAtATime = 1 << 17;

class PairHmmWork : public Work {
 public:
  /// Reads a file to its end: what is wrong in it is found before anything is computed.
  explicit PairHmmWork(const Request& request) : request_(request) {
    if (request.in_memory("pairs")) {
      extend(request.object<MemoryPairs>("pairs"), 0);
      return;
    }
    io::PairHmmTextReader reader(request.path("pairs"));
    for (io::PairHmmText text = reader.next(kPairsAtATime); !text.empty(); text = reader.next(kPairsAtATime))
      extend(regions_of(text), text.bytes());
  }

  Plan plan(Device device) const override {
    Plan plan;
    plan.updates = cells_;
    const variant::PairHmmBytes kernel = device.kind == DeviceKind::cpu ? on_cpu_ : on_gpu_;
    // The results of all pairs, where they stay in memory, and of those computed together.
    const std::int64_t results = most_pairs_ + (request_.in_memory("likelihoods") ? pairs_ : 0);
    plan.host_bytes = text_bytes_ + static_cast<std::size_t>(results) * sizeof(double) + kernel.host;
    plan.device_bytes = kernel.device;
    return plan;
  }

  void run(Stream& stream, Progress& progress) override {
    output_.emplace(request_, "likelihoods");
    if (request_.in_memory("pairs")) {
      compute(stream, progress, request_.object<MemoryPairs>("pairs"));
      return;
    }
    progress.enter("read");
    io::PairHmmTextReader reader(request_.path("pairs"));
    for (io::PairHmmText text = reader.next(kPairsAtATime); !text.empty(); text = reader.next(kPairsAtATime)) {
      compute(stream, progress, regions_of(text));
      progress.enter("read");
    }
  }

  void store(Progress& progress) override {
    progress.enter("write");
    io::commit_together({output_->finish()});
    output_->hand_over();
  }

 private:
  void extend(const variant::PairHmmRegions& regions, std::size_t text_bytes) {
    const std::int64_t pairs = variant::pair_count(regions);
    pairs_ += pairs;
    cells_ += variant::cell_count(regions);
    text_bytes_ = std::max(text_bytes_, text_bytes);
    most_pairs_ = std::max(most_pairs_, pairs);
    enlarge(on_cpu_, variant::pairhmm_bytes(Device{}, regions));
    enlarge(on_gpu_, variant::pairhmm_bytes(Device{DeviceKind::cuda, 0}, regions));
  }
  static void enlarge(variant::PairHmmBytes& most, variant::PairHmmBytes other) {
    most = {std::max(most.host, other.host), std::max(most.device, other.device)};
  }

  void compute(Stream& stream, Progress& progress, const variant::PairHmmRegions& regions) {
    progress.enter("compute");
    std::vector<double> likelihoods(static_cast<std::size_t>(variant::pair_count(regions)));
    variant::pairhmm(stream, regions, likelihoods);
    progress.enter("write");
    output_->put(likelihoods);
    done_ += static_cast<std::int64_t>(likelihoods.size());
    progress.report(static_cast<double>(done_) / static_cast<double>(std::max(done_, pairs_)));
  }

  Request request_;
  std::int64_t pairs_ = 0, cells_ = 0, done_ = 0;
  std::int64_t most_pairs_ = 0;  // of those computed together, as the next three
  std::size_t text_bytes_ = 0;
  variant::PairHmmBytes on_cpu_, on_gpu_;
  std::optional<LikelihoodSink> output_;
};

}  // namespace

Operation variant_pairhmm() {
  Operation operation;
  operation.name = "variant.pairhmm";
  operation.summary =
      "Scores reads against haplotypes: log10 likelihood of each pair, by GATK's pair hidden Markov model";
  operation.update = "cell";
  operation.notes = {
      "The file has regions: a line `R H`; R lines of a read, its bases and its base, insertion, deletion and "
      "gap-continuation qualities as characters from '!' for 0 on, separated by spaces; H lines of a haplotype.",
      "Written is one likelihood a line, six decimals: region by region, read by read, haplotype by haplotype; -inf "
      "only "
      "where it is zero.",
      "Qualities are taken as they are; callers clamp them before.",
      "Within 1e-5 of exact arithmetic for reads of up to 512 bases, 1e-9 beyond; the same bits for every batch, "
      "thread "
      "count and instruction set.",
  };
  operation.ports = {
      {"pairs", PortDirection::in, PortKind::pairs, true, "Reads and haplotypes, region by region"},
      {"likelihoods", PortDirection::out, PortKind::likelihoods, true,
       "log10 likelihood of each read given each haplotype"},
  };
  operation.load = [](const Request& request) { return std::make_unique<PairHmmWork>(request); };
  return operation;
}

}  // namespace kiban::engine

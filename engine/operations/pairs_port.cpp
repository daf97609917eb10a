#include "engine/operations/pairs_port.hpp"

#include <utility>

namespace kiban::engine {

variant::PairHmmRegions regions_of(const io::PairHmmText& text) {
  return {
      {text.bases, text.base_quality, text.insertion_quality, text.deletion_quality, text.gap_quality, text.read_begin},
      {text.haplotype_bases, text.haplotype_begin},
      text.reads_begin,
      text.haplotypes_begin};
}

LikelihoodSink::LikelihoodSink(const Request& request, const std::string& port) {
  if (request.in_memory(port)) {
    memory_ = request.object<std::shared_ptr<MemoryLikelihoods>>(port);
    return;
  }
  file_.emplace(request.path(port));
  writer_.emplace(file_->temporary_path(), file_->path());
}

void LikelihoodSink::put(std::span<const double> likelihoods) {
  if (writer_)
    writer_->write(likelihoods);
  else
    values_.insert(values_.end(), likelihoods.begin(), likelihoods.end());
}

io::OutputFile* LikelihoodSink::finish() {
  if (!file_) return nullptr;
  writer_->finish();
  return &*file_;
}

void LikelihoodSink::hand_over() {
  if (memory_) memory_->values = std::move(values_);
}

}  // namespace kiban::engine

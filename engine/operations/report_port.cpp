#include "engine/operations/report_port.hpp"

#include <cerrno>
#include <fstream>
#include <utility>

namespace kiban::engine {

ReportSink::ReportSink(const Request& request, const std::string& port) {
  if (!request.uses(port)) return;
  if (request.in_memory(port))
    memory_ = request.object<std::shared_ptr<MemoryReport>>(port);
  else
    file_.emplace(request.path(port));
}

void ReportSink::put(nlohmann::json document) {
  document_ = std::move(document);
  if (!file_) return;
  std::ofstream stream(file_->temporary_path());
  stream << document_.dump(2) << "\n";
  stream.close();
  if (!stream) throw io::write_error(file_->path(), io::errno_of_growth(file_->temporary_path()));
}

io::OutputFile* ReportSink::finish() { return file_ ? &*file_ : nullptr; }

void ReportSink::hand_over() {
  if (memory_) memory_->document = std::move(document_);
}

}  // namespace kiban::engine

#include "engine/worker/attempt.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "engine/nearest_name.hpp"
#include "engine/worker/durable_file.hpp"

namespace kiban::engine {
namespace {

namespace fs = std::filesystem;

Error read_failure(const fs::path& file, int error_number) {
  // What the disk refuses, it may give another time; what is not there, or not permitted, is the request's fault.
  const bool of_the_machine = error_number == EIO || error_number == EMFILE || error_number == ENFILE;
  return {ErrorCode::input,
          fmt::format("{}: cannot be read ({}); check the file", file.string(),
                      std::generic_category().message(error_number)),
          of_the_machine ? error_number : 0};
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) fail();
  }
  void add(const void* bytes, std::size_t count) {
    if (EVP_DigestUpdate(context_.get(), bytes, count) != 1) fail();
  }
  std::string hexadecimal() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1) fail();
    std::string text;
    for (unsigned i = 0; i < size; ++i) fmt::format_to(std::back_inserter(text), "{:02x}", digest[i]);
    return text;
  }

 private:
  [[noreturn]] static void fail() { throw Error(ErrorCode::internal, "OpenSSL computes no SHA-256; check its set-up"); }
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

/// ".nii.gz", not ".gz".
std::string full_extension(const fs::path& path) {
  const std::string last = path.extension();
  return last == ".gz" ? path.stem().extension().string() + last : last;
}

void bind_file(Request& request, const Operation& operation, PortDirection direction, const std::string& port,
               const fs::path& file) {
  std::vector<std::string> known;
  for (const Port& declared : operation.ports)
    if (declared.direction == direction) known.push_back(declared.name);
  if (std::ranges::count(known, port) == 0)
    throw Error(ErrorCode::usage,
                fmt::format("{} has no {} {}{}", operation.name, direction == PortDirection::in ? "input" : "output",
                            port, suggestion(port, known)));
  request.ports[port] = file;
}

nlohmann::json digest_json(const fs::path& file, const std::string& path) {
  const FileDigest digest = digest_of(file);
  return {{"path", path}, {"sha256", digest.sha256}, {"bytes", digest.bytes}};
}

nlohmann::json inputs_json(const Submission& submission, const Operation& operation) {
  nlohmann::json inputs = nlohmann::json::object();
  for (const Port& port : operation.ports) {
    const auto given = submission.inputs.find(port.name);
    if (port.direction != PortDirection::in || given == submission.inputs.end()) continue;
    nlohmann::json& files = inputs[port.name] = nlohmann::json::array();
    for (const fs::path& file : files_behind(port.kind, given->second))
      files.push_back(digest_json(file, file.string()));
  }
  return inputs;
}

nlohmann::json outputs_json(const Assignment& assignment) {
  nlohmann::json outputs = nlohmann::json::object();
  for (const auto& [port, asked_for] : assignment.submission.outputs) {
    const std::string name = file_in_attempt(port, asked_for);
    nlohmann::json& output = outputs[port] = digest_json(assignment.folder / name, asked_for);
    output["file"] = name;
  }
  return outputs;
}

std::string utc_now() {
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
}

}  // namespace

FileDigest digest_of(const fs::path& path) {
  const FileDescriptor file(path, O_RDONLY);
  if (file.number() < 0) throw read_failure(path, errno);
  posix_fadvise(file.number(), 0, 0, POSIX_FADV_SEQUENTIAL);
  thread_local std::vector<char> buffer(256 << 10);
  Sha256 sha256;
  FileDigest digest;
  for (;;) {
    const ssize_t count = read(file.number(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw read_failure(path, errno);
    if (count == 0) break;
    sha256.add(buffer.data(), static_cast<std::size_t>(count));
    digest.bytes += static_cast<std::uintmax_t>(count);
  }
  digest.sha256 = sha256.hexadecimal();
  return digest;
}

std::string file_in_attempt(const std::string& port, const fs::path& asked_for) {
  return port + full_extension(asked_for);
}

Request request_of(const Assignment& assignment, const Operation& operation) {
  const Submission& submission = assignment.submission;
  if (submission.operation != operation.name || submission.operation_version != operation.version)
    throw Error(ErrorCode::usage,
                fmt::format("{} of version {} is asked for, and this build has {} of version {}; submit it anew, or "
                            "run it with the build that has that version",
                            submission.operation, submission.operation_version, operation.name, operation.version));
  Request request;
  for (const auto& [port, path] : submission.inputs) bind_file(request, operation, PortDirection::in, port, path);
  for (const auto& [port, path] : submission.outputs)
    bind_file(request, operation, PortDirection::out, port, assignment.folder / file_in_attempt(port, path));
  require_ports(operation, request);
  request.parameters = Values::from_json(operation.parameters, submission.parameters);
  return request;
}

nlohmann::json manifest_of(const Assignment& assignment, const Operation& operation, const Report& report) {
  const nlohmann::json run = to_json(report);
  nlohmann::json manifest = {{"manifest", 1},
                             {"job", assignment.job},
                             {"token", assignment.token},
                             {"submission", to_json(assignment.submission)},
                             {"inputs", inputs_json(assignment.submission, operation)},
                             {"outputs", outputs_json(assignment)},
                             {"finished", utc_now()}};
  for (const char* field : {"operation", "operation_version", "version", "parameters", "findings", "seconds",
                            "stages_seconds", "device", "device_model", "instruction_set", "threads"})
    manifest[field] = run.at(field);
  return manifest;
}

}  // namespace kiban::engine

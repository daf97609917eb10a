#pragma once
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/durable_file.hpp"
#include "engine/operation.hpp"
#include "engine/runner.hpp"
#include "engine/worker/assignment.hpp"

namespace kiban::engine {

/// SHA-256 of a file and its size.
struct FileDigest {
  std::string sha256;  ///< 64 hexadecimal digits
  std::uintmax_t bytes = 0;
};
/// Errors: input (unreadable).
FileDigest digest_of(const std::filesystem::path& file);

/// The name that the output of a port has in the folder of an attempt: the port's, with the extension of the path that
/// was asked for: "volume.nii.gz".
std::string file_in_attempt(const std::string& port, const std::filesystem::path& asked_for);

/// What lies in the folder of an attempt beside this output, as an index of it: what its names have more, in order.
std::vector<std::string> names_beside(const std::filesystem::path& folder, const std::string& file);

/// The request of an assignment, outputs redirected into its folder. Errors: usage (see request_from_text; another
/// version of the operation is asked for than this build has).
Request request_of(const Assignment& assignment, const Operation& operation);

/// manifest.json: job, submission, operation and version, Kiban's version, digests of inputs and outputs, device,
/// instruction set, threads, timings, findings, and when. Described in docs/formats/manifest.md.
nlohmann::json manifest_of(const Assignment& assignment, const Operation& operation, const Report& report);

/// Writes manifest.json, then flushes the files, the folder and the folders above it up to the results'.
/// Errors: input (the disk is full or failed).
void seal(const std::filesystem::path& folder, const nlohmann::json& manifest);

/// A folder that is to be sealed with others: what they share is flushed once.
struct Sealing {
  std::filesystem::path folder;
  const nlohmann::json* manifest = nullptr;
  std::exception_ptr failure;  ///< as `seal` would have thrown it; the others go on
};
void seal_together(std::vector<Sealing>& sealings);

/// Gives the outputs of a sealed folder the names that were asked for: each a hard link, or a copy where the file
/// system has none; under a hidden name first, then renamed, then flushed. Idempotent: after a crash it goes on where
/// it was, and what it had hidden is gone. All are linked before the first is renamed. An output that exists is
/// replaced and passes its permissions on; a name that is a link stays one, as in io::OutputFile. Errors: input (a
/// target's folder is missing, full or write-protected; a target is a folder, or no plain file; a file of the attempt
/// is missing).
///   One at a time: hold `lock_result` meanwhile, and until the queue knows of it.
void publish(const std::filesystem::path& folder, const Submission& submission);

/// Keeps other processes that ask for it, too, off a result until it goes; null where one has it. Two workers may come
/// for one row, and the slower must not put an old result over what came after it.
/// Errors: input (the folder is gone).
std::shared_ptr<FileDescriptor> lock_result(const std::filesystem::path& folder);

}  // namespace kiban::engine

#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "engine/queue/queue.hpp"
#include "engine/queue/sqlite_connection.hpp"

namespace kiban::engine {

constexpr int kSchemaVersion = 1;

/// With those above it where they are missing, its owner's alone: jobs name patients' files. Errors: input.
void make_folder(const std::filesystem::path& folder);

/// Makes an empty queue: in a file beside it that is flushed, then given its name. If another process was quicker, its
/// file stands. Errors: input (the folder cannot be written; only the journal of a lost file is there).
void make_store(const std::filesystem::path& file);

/// What can be told at a glance: it is a file of SQLite's, a queue, and of this version. Changes nothing.
/// Errors: input.
void require_store(const std::filesystem::path& file);

/// Reads the whole file. Errors: input (damaged).
void require_whole(Connection& connection);

/// Of a connection that is to be used.
void set_up(Connection& connection);

/// Errors: usage (a setting out of range).
void require_valid(const QueueSettings& settings);
std::string written(const QueueSettings& settings);
QueueSettings settings_from(const std::string& text);

}  // namespace kiban::engine

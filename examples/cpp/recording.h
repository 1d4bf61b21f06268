// Reads a recorded drive, as record_drive.py writes it. The formats are described there.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace recording {

namespace fs = std::filesystem;

using Pose = std::array<double, 16>;  // [4, 4], row by row

// A NumPy array, row by row.
struct Array {
  std::string type;  // kind and bytes of a value as NumPy names them: f4, u1, b1, i8
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  template <class T>
  const T* values() const {
    return reinterpret_cast<const T*>(bytes.data());
  }
};

using Arrays = std::map<std::string, Array>;

constexpr size_t kLongestHeader = 1024;  // std::regex may overflow the stack with a long one
constexpr double kLargest = 1e9;          // of a setting: seconds, metres, counts
constexpr int64_t kLatestUs = 1'000'000'000'000'000'000;  // differences of times fit int64

// Returns whether the whole text is a number, which is then in `value`.
template <class Integer>
bool is_whole_number(const std::string& text, Integer& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

// Reads a .npy file of version 1.0. Throws std::runtime_error for any other file.
inline Array read_array(const fs::path& path) {
  const std::runtime_error fault(path.string() + " is no .npy file that can be read here");
  std::error_code error;
  if (!fs::is_regular_file(path, error)) throw fault;
  std::ifstream file(path, std::ios::binary);
  unsigned char start[10] = {};
  file.read(reinterpret_cast<char*>(start), sizeof start);
  if (std::string(start, start + 8) != std::string("\x93NUMPY\x01\x00", 8)) throw fault;
  std::string header(start[8] + 256 * start[9], ' ');
  if (header.size() > kLongestHeader) throw fault;
  file.read(header.data(), header.size());
  static const std::regex layout(
      R"('descr': '[<|]([a-z][1248])', 'fortran_order': False, 'shape': \(([0-9, ]*)\))");
  std::smatch found;
  if (!std::regex_search(header, found, layout)) throw fault;
  Array array{found[1], {}, {}};
  std::istringstream lengths(found[2]);
  const uintmax_t most = fs::file_size(path);  // the header may state anything
  uintmax_t size = array.type[1] - '0';
  for (std::string text; std::getline(lengths, text, ',');) {
    uint32_t length = 0;
    if (!is_whole_number(text.substr(std::min(text.find_first_not_of(' '), text.size())), length)) {
      throw fault;
    }
    if (length > 0 && size > most / length) throw fault;
    array.shape.push_back(length);
    size *= length;
  }
  array.bytes.resize(size);
  if (!file.read(array.bytes.data(), size) || file.peek() != EOF) throw fault;
  return array;
}

// Values of the manifest by their path in it. Whatever lacks one, or has another than it may have,
// gets a std::runtime_error that names the file and the setting.
class Settings {
 public:
  explicit Settings(const fs::path& path) : path_(path.string()) {
    std::ifstream file(path);
    for (std::string line, name, value; std::getline(file, line);) {
      std::istringstream words(line);
      words >> name;
      while (words >> value) values_[name].push_back(value);
    }
    if (values_.empty()) throw std::runtime_error(path_ + " is missing or empty");
  }
  const std::vector<std::string>& words(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw std::runtime_error(path_ + " lacks " + name);
    return found->second;
  }
  // Returns all numbers of a setting; `count`: how many it has, 0 for any number of them.
  std::vector<double> numbers(const std::string& name, size_t count, double least) const {
    std::vector<double> numbers;
    for (const std::string& word : words(name)) {
      char* end = nullptr;
      numbers.push_back(std::strtod(word.c_str(), &end));
      const bool is_number = *end == 0 && numbers.back() >= least && numbers.back() <= kLargest;
      if (!is_number) throw fault(name, "holds '" + word + "', which is no number in its range");
    }
    if (count > 0 && numbers.size() != count) {
      throw fault(name, "needs " + std::to_string(count) + " values");
    }
    return numbers;
  }
  double number(const std::string& name, double least = -kLargest) const {
    return numbers(name, 1, least)[0];
  }
  int64_t count(const std::string& name, int64_t least) const {
    const double value = number(name, least);
    if (value != std::floor(value)) throw fault(name, "is no whole number");
    return value;
  }
  std::runtime_error fault(const std::string& name, const std::string& problem) const {
    return std::runtime_error(path_ + ": " + name + " " + problem);
  }

 private:
  std::string path_;
  std::map<std::string, std::vector<std::string>> values_;
};

struct Frame {
  fs::path folder;
  int64_t timestamp_us;
  std::string sequence;
  Pose ego2global;
};

// Returns a pose out of a file.
inline Pose read_pose(const fs::path& path) {
  const Array array = read_array(path);
  Pose pose;
  if (array.type != "f8" || array.shape != std::vector<int64_t>{4, 4}) {
    throw std::runtime_error(path.string() + " is not [4, 4] float64");
  }
  std::copy_n(array.values<double>(), pose.size(), pose.begin());
  return pose;
}

// Returns the frames of a recording in their order, without their arrays. Throws std::runtime_error
// for a line that is no frame, and where there are not as many frames as were recorded.
inline std::vector<Frame> read_frames(const fs::path& recorded, const Settings& settings) {
  const std::string path = (recorded / "frames.txt").string();
  std::ifstream file(path);
  std::vector<Frame> frames;
  for (std::string line; std::getline(file, line);) {  // FOLDER TIME SEQUENCE
    const size_t first = line.find(' '), second = line.find(' ', first + 1);
    Frame frame{};
    if (first == std::string::npos || second == std::string::npos || first == 0 ||
        !is_whole_number(line.substr(first + 1, second - first - 1), frame.timestamp_us) ||
        frame.timestamp_us < -kLatestUs || frame.timestamp_us > kLatestUs) {
      throw std::runtime_error(path + ":" + std::to_string(frames.size() + 1) +
                               ": is no folder, time in microseconds and sequence");
    }
    frame.folder = recorded / line.substr(0, first);
    frame.sequence = line.substr(second + 1);
    frame.ego2global = read_pose(frame.folder / "ego2global.npy");
    frames.push_back(frame);
  }
  const int64_t count = settings.count("frames", 1);
  if (int64_t(frames.size()) != count) {
    throw std::runtime_error(path + " has " + std::to_string(frames.size()) + " of the " +
                             std::to_string(count) + " frames that settings.txt states");
  }
  return frames;
}

// Reads the inputs that changed in a frame over those of the frames before.
inline void read_inputs(const Frame& frame, Arrays& inputs) {
  for (const auto& entry : fs::directory_iterator(frame.folder / "inputs")) {
    inputs[entry.path().stem().string()] = read_array(entry.path());
  }
}

}  // namespace recording

// A robot's side of `transreward serve`, in C++17 and POSIX sockets. One header; it throws std::runtime_error.
//
//     transreward::Client session("127.0.0.1:5555", token);        // or the path of a Unix socket
//     std::vector<double> obs = observe();
//     while (session.left > 0) {
//         std::vector<double> action = session.act(obs);
//         Step step = take(action);
//         session.tell(obs, action, step.reward, step.next_obs, step.terminated, step.truncated);
//         obs = step.over ? begin() : step.next_obs;
//     }
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace transreward {

using Numbers = std::vector<double>;

class Client {
public:
    long left = 0;       // target steps that may still be taken
    long obs_size = 0;   // of an observation
    Numbers low, high;   // limits of an action
    // `robot`: which of the session's robots this is; `timeout` in seconds, of each call.
    Client(const std::string& address, const std::string& token, int robot = 0, double timeout = 10.0)
        : timeout_(timeout) {
        connect_to(address);
        try {
            const std::string found = ask("{\"do\":\"hello\",\"protocol\":1,\"robot\":" + std::to_string(robot) +
                                          ",\"token\":" + quoted(token) + "}");
            left = number(found, "left"), obs_size = number(found, "obs");
            low = numbers(found, "low"), high = numbers(found, "high");
        } catch (...) { close(); throw; }  // no destructor runs
    }
    ~Client() { close(); }
    Client(const Client&) = delete; Client& operator=(const Client&) = delete;

    // The action to take at `obs`. It counts as a step.
    Numbers act(const Numbers& obs) {
        return numbers(ask("{\"do\":\"act\",\"obs\":" + listed(obs) + "}"), "action");
    }
    // What came of it: the action that was taken, its reward, where it led, and whether the episode is over.
    void tell(const Numbers& obs, const Numbers& action, double reward, const Numbers& next_obs,
              bool terminated = false, bool truncated = false) {
        told(",\"reward\":" + shown(reward), obs, action, next_obs, terminated, truncated);
    }
    // The same without a reward, where the task can be computed from observations: see docs/robot.md.
    void tell(const Numbers& obs, const Numbers& action, const Numbers& next_obs, bool terminated = false,
              bool truncated = false) {
        told("", obs, action, next_obs, terminated, truncated);
    }
    // The robot was put back; `steps` that this took are counted apart.
    void reset(const Numbers& obs, long steps = 0) {
        ask("{\"do\":\"reset\",\"obs\":" + listed(obs) + ",\"steps\":" + std::to_string(steps) + "}");
    }
    // An operator ended the episode.
    void abort(const std::string& why = "") { ask("{\"do\":\"abort\",\"why\":" + quoted(why) + "}"); }
    void save() { ask("{\"do\":\"save\"}"); }
    // Wait until all is learned from, or the time is up. Returns whether it is.
    bool improve(double seconds) {
        const std::string asked = "{\"do\":\"improve\",\"seconds\":" + shown(seconds) + "}";
        struct Back { Client& of; ~Back() { of.set_timeout(of.timeout_); } } back{*this};  // also where it is refused
        set_timeout(timeout_ + seconds);
        return ask(asked).find("\"done\": true") != std::string::npos;
    }

private:
    int socket_ = -1;
    double timeout_ = 10.0;

    void told(const std::string& reward, const Numbers& obs, const Numbers& action, const Numbers& next_obs,
              bool terminated, bool truncated) {
        const std::string found = ask("{\"do\":\"tell\",\"obs\":" + listed(obs) + ",\"action\":" + listed(action) +
                                      ",\"next_obs\":" + listed(next_obs) + reward +
                                      ",\"terminated\":" + (terminated ? "true" : "false") +
                                      ",\"truncated\":" + (truncated ? "true" : "false") + "}");
        left = number(found, "left");
    }
    void connect_to(const std::string& address) {
        const size_t colon = address.rfind(':');
        if (colon == std::string::npos || address.find('/') != std::string::npos) {
            sockaddr_un where{}; where.sun_family = AF_UNIX;
            if (address.size() >= sizeof(where.sun_path)) throw std::runtime_error("the socket's path is too long");
            std::strcpy(where.sun_path, address.c_str());
            socket_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
            set_timeout(timeout_);
            if (::connect(socket_, reinterpret_cast<sockaddr*>(&where), sizeof(where)) != 0) failed("no answer", errno);
            return;
        }
        addrinfo wanted{}, *found = nullptr;
        wanted.ai_socktype = SOCK_STREAM;
        const std::string host = address.substr(0, colon), port = address.substr(colon + 1);
        if (::getaddrinfo(host.c_str(), port.c_str(), &wanted, &found) != 0) throw std::runtime_error("no such host");
        int why = 0, on = 1;
        for (addrinfo* one = found; one != nullptr && socket_ < 0; one = one->ai_next) {
            socket_ = ::socket(one->ai_family, one->ai_socktype, one->ai_protocol);
            set_timeout(timeout_);  // which `connect` keeps, too
            if (::connect(socket_, one->ai_addr, one->ai_addrlen) != 0) why = errno, close();
        }
        ::freeaddrinfo(found);
        if (socket_ < 0) failed("no answer", why);
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    void set_timeout(double seconds) {
        const timeval limit{static_cast<time_t>(seconds), static_cast<suseconds_t>(std::fmod(seconds, 1.0) * 1e6)};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    }
    void close() { if (socket_ >= 0) ::close(socket_); socket_ = -1; }
    // The connection is closed: a late answer would be taken for that to the next request.
    [[noreturn]] void failed(const char* what, int why) {
        close();
        throw std::runtime_error(std::string(what) + ": " + (
            why == 0 ? "it has left" : why == EBADF ? "make another Client" :
            why == EAGAIN || why == EINPROGRESS ? "nothing came in time" : std::strerror(why)));  // late; in `connect`
    }
    // One request, one answer: four bytes of length, the most significant first, and JSON.
    std::string ask(const std::string& message) {
        const uint32_t length = htonl(static_cast<uint32_t>(message.size()));
        const std::string whole = std::string(reinterpret_cast<const char*>(&length), 4) + message;
        exactly(whole.size(), [&](size_t at) { return ::send(socket_, &whole[at], whole.size() - at, MSG_NOSIGNAL); });
        uint32_t size = 0;
        std::string found(sizeof(size), '\0');
        const auto more = [&](size_t at) { return ::recv(socket_, &found[at], found.size() - at, 0); };
        exactly(found.size(), more);
        std::memcpy(&size, found.data(), sizeof(size));
        found.resize(ntohl(size));
        exactly(found.size(), more);
        if (found.find("\"ok\": true") == std::string::npos) {
            const size_t at = found.find("\"error\": ");
            throw std::runtime_error(at == std::string::npos ? found : found.substr(at + 9, found.size() - at - 10));
        }
        return found;
    }
    template <typename Move>
    void exactly(size_t size, Move move) {
        for (size_t done = 0; done < size;) {
            const ssize_t n = move(done);
            if (n < 0 && errno == EINTR) continue;  // a signal of the program's
            if (n <= 0) failed("the server is gone", n == 0 ? 0 : errno);
            done += static_cast<size_t>(n);
        }
    }
    static std::string shown(double x) {
        if (!std::isfinite(x)) throw std::runtime_error("a number is not finite");
        std::ostringstream text;
        text.imbue(std::locale::classic());  // JSON has points, whatever the program's locale has
        text.precision(17);
        text << x;
        return text.str();
    }
    static std::string listed(const Numbers& values) {
        std::string text;
        for (const double x : values) text += (text.empty() ? "[" : ",") + shown(x);
        return text.empty() ? "[]" : text + "]";
    }
    static std::string quoted(const std::string& text) {
        std::string found = "\"";
        for (const char c : text) {
            if (c == '"' || c == '\\') found += '\\';
            if (static_cast<unsigned char>(c) >= 0x20) found += c;
        }
        return found + "\"";
    }
    static size_t after(const std::string& found, const std::string& key) {
        const size_t at = found.find("\"" + key + "\": ");
        if (at == std::string::npos) throw std::runtime_error("the answer has no " + key);
        return at + key.size() + 4;
    }
    static long number(const std::string& text, const std::string& key) { return std::atol(&text[after(text, key)]); }
    static Numbers numbers(const std::string& found, const std::string& key) {
        std::istringstream text(found.substr(after(found, key)));
        text.imbue(std::locale::classic());
        Numbers values;
        double x = 0; char mark = 0;
        for (text >> mark; mark != ']'; values.push_back(x))
            if (!(text >> x >> mark)) throw std::runtime_error("the answer's " + key + " is damaged");
        return values;
    }
};

}  // namespace transreward

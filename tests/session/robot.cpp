// A program that is hard on its client: of another locale, with signals, or on a slow server. Usage: robot ADDRESS WHAT
#include <dirent.h>

#include <clocale>
#include <csignal>
#include <iostream>

#include "transreward.hpp"

int files() {  // that are open
    int n = 0;
    DIR* all = opendir("/proc/self/fd");
    while (readdir(all) != nullptr) ++n;
    closedir(all);
    return n;
}

int main(int, char** argv) {
    const std::string what = argv[2];
    if (what == "comma" && std::setlocale(LC_ALL, "de_DE.UTF-8") == nullptr) return 3;
    if (what == "signals") {
        struct sigaction action {};
        action.sa_handler = [](int) {};
        action.sa_flags = SA_RESTART;  // which does not hold for a socket with a time limit
        sigaction(SIGALRM, &action, nullptr);
        const itimerval often{{0, 20000}, {0, 20000}};
        setitimer(ITIMER_REAL, &often, nullptr);
    }
    if (what == "refused") {
        const int before = files();
        for (int i = 0; i < 3; ++i) {
            try { transreward::Client session(argv[1], "wrong"); } catch (const std::exception& error) {
                std::cout << error.what() << " ";
            }
        }
        std::cout << files() - before << std::endl;
        return 0;
    }
    transreward::Client session(argv[1], "token", 0, what == "slow" || what == "improve" ? 0.2 : 5.0);
    if (what == "improve") {
        try { session.improve(30.0); } catch (const std::exception& error) { std::cout << error.what() << " "; }
    }
    for (int i = 0; i < 2; ++i) {
        try {
            std::cout << session.act({0.5 + i, 1e-3, -1.25})[0] * 4 << " ";  // whole numbers look alike everywhere
        } catch (const std::exception& error) {
            std::cout << error.what() << "; ";
            usleep(500000);
        }
    }
    std::cout << session.low[0] * 2 << std::endl;
}

# Simulates a board's module on the unix port: a Wi-Fi that connects after the second question.

STA_IF = 0


class WLAN:
    def __init__(self, interface):
        self.questions = None

    def active(self, on):
        pass

    def connect(self, ssid, password):
        self.questions = 0

    def isconnected(self):
        if self.questions is None:
            return False
        self.questions += 1
        return self.questions > 2

    def ifconfig(self):
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
